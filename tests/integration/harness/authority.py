"""Certificates, made with the openssl command."""
import os
import ssl
import subprocess


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, **more)


class Authority:
    """A CA of the test's own, and what it signs."""

    def __init__(self, folder, name):
        self.folder = folder
        self.key, self.pem = os.path.join(folder, name + ".key"), os.path.join(folder, name + ".pem")
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key,
            "-out", self.pem, "-days", "30", "-subj", f"/CN={name}")

    def sign(self, name, days="30", alternative="DNS:localhost,IP:127.0.0.1"):
        """(certificate, key), for localhost unless `alternative` says otherwise."""
        key, request = os.path.join(self.folder, name + ".key"), os.path.join(self.folder, name + ".csr")
        pem, names = os.path.join(self.folder, name + ".pem"), os.path.join(self.folder, name + ".ext")
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request,
            "-subj", "/CN=node")
        with open(names, "w", encoding="utf-8") as out:
            out.write(f"subjectAltName={alternative}\n")
        run("openssl", "x509", "-req", "-in", request, "-CA", self.pem, "-CAkey", self.key, "-CAcreateserial", "-days", days,
            "-extfile", names, "-out", pem)
        return pem, key

    def context(self):
        return ssl.create_default_context(cafile=self.pem)
