"""What the integration tests share: real nodes, a sink and a model that remember what they saw, a checker.

Python's standard library only. A test is a script `tests/integration/*_test.py`; ctest gives it HOLDFAST_BIN (the
binary) and HOLDFAST_PEERS (the third-party programs that `tools/setup` installed).
"""
