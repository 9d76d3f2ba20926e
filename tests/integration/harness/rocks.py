"""A stopped data folder, key by key, through RocksDB's C interface: for injecting damage. Keys as in persistence/keys.hpp."""
import ctypes
import ctypes.util
import struct

LOG_STATE = b"\x02"  # of a group in `meta`: {term, index} of what was applied last
OF_THE_LOG = (LOG_STATE, b"\x04", b"\x05", b"\x06")
READY, AGENT_RUN, RECONCILE = b"\x01", b"\x02", b"\x03"


def _library():
    for name in ("librocksdb.so.7.8", "librocksdb.so", ctypes.util.find_library("rocksdb")):
        try:
            return ctypes.CDLL(name)
        except (OSError, TypeError):
            continue
    raise OSError("librocksdb is not installed")


_c = _library()
_void, _char, _size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
_error = ctypes.POINTER(_char)


def _declare(name, result, *arguments):
    function = getattr(_c, "rocksdb_" + name)
    function.restype, function.argtypes = result, list(arguments)
    return function


_options_create = _declare("options_create", _void)
_list_families = _declare("list_column_families", ctypes.POINTER(_char), _void, _char, ctypes.POINTER(_size), _error)
_open = _declare("open_column_families", _void, _void, _char, ctypes.c_int, ctypes.POINTER(_char), ctypes.POINTER(_void),
                 ctypes.POINTER(_void), _error)
_close = _declare("close", None, _void)
_family_destroy = _declare("column_family_handle_destroy", None, _void)
_write_options = _declare("writeoptions_create", _void)
_set_sync = _declare("writeoptions_set_sync", None, _void, ctypes.c_ubyte)
_read_options = _declare("readoptions_create", _void)
_put = _declare("put_cf", None, _void, _void, _void, _char, _size, _char, _size, _error)
_delete = _declare("delete_cf", None, _void, _void, _void, _char, _size, _error)
_iterate = _declare("create_iterator_cf", _void, _void, _void, _void)
_seek = _declare("iter_seek", None, _void, _char, _size)
_valid = _declare("iter_valid", ctypes.c_ubyte, _void)
_next = _declare("iter_next", None, _void)
_key = _declare("iter_key", _void, _void, ctypes.POINTER(_size))
_value = _declare("iter_value", _void, _void, ctypes.POINTER(_size))
_iter_destroy = _declare("iter_destroy", None, _void)


class Folder:
    """Open for writing; nobody else may have it open."""

    def __init__(self, path):
        self._error = _char()
        options = _options_create()
        count = _size()
        names = self._checked(_list_families, options, path.encode(), ctypes.byref(count))
        self.families = [names[i].decode() for i in range(count.value)]
        handles = (_void * count.value)()
        all_options = (_void * count.value)(*[options] * count.value)
        self._db = self._checked(_open, options, path.encode(), count.value, names, all_options, handles)
        self._handles = dict(zip(["meta" if name == "default" else name for name in self.families], handles))
        self._write = _write_options()
        _set_sync(self._write, 1)
        self._read = _read_options()

    def _checked(self, function, *arguments):
        error = _char()
        result = function(*arguments, ctypes.byref(error))
        if error.value is not None:
            raise OSError(error.value.decode(errors="replace"))
        return result

    def close(self):
        for handle in self._handles.values():
            _family_destroy(handle)
        _close(self._db)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def items(self, family, prefix=b""):
        """(key, value) of every key that starts so, in order."""
        out, size = [], _size()
        at = _iterate(self._db, self._read, self._handles[family])
        _seek(at, prefix, len(prefix))
        while _valid(at):
            key = ctypes.string_at(_key(at, ctypes.byref(size)), size.value)
            if not key.startswith(prefix):
                break
            value = ctypes.string_at(_value(at, ctypes.byref(size)), size.value)
            out.append((key, value))
            _next(at)
        _iter_destroy(at)
        return out

    def put(self, family, key, value):
        self._checked(_put, self._db, self._write, self._handles[family], key, len(key), value, len(value))

    def delete(self, family, key):
        self._checked(_delete, self._db, self._write, self._handles[family], key, len(key))

    # ---- Holdfast's keys
    def group_of(self, agent):
        """The partition that keeps the agent, found by looking."""
        end = agent.encode() + b"\0"
        for key, _ in self.items("snapshot"):
            if key[2:] == end:
                return key[:2]
        raise KeyError(agent)


def name(agent):
    return agent.encode() + b"\0"


def number(value):
    return struct.pack(">Q", value)
