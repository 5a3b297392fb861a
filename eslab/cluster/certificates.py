"""Throw-away keys for a cluster's TLS, made with the Java runtime's keytool; for a lab only."""

import base64
import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from eslab.cluster.errors import ClusterError
from eslab.cluster.runtime import ENVIRONMENT, Java

PASSWORD = "throwaway"  # noqa: S105  keytool requires one; the folder's permissions protect the keys
DAYS = "3650"
# A certificate that signs itself: it is its own authority, so no third key is needed.
CERTIFICATE_USE = ["bc:critical=ca:true", "ku:critical=digitalSignature,keyCertSign"]


def make_certificates(folder: Path, hosts: Sequence[str], java: Java) -> None:
    """Make one self-signed certificate for all nodes, valid for their addresses, and one for a client.

    Writes ca.pem (a client trusts it), node.p12 and clients.p12 (a node's key, and the clients it trusts), client.pem
    and client-key.pem (a client shows them). Runs keytool five times, about 3 s; does nothing if all files exist.
    Raises ClusterError.
    """
    # This file is written last, so a run that was interrupted starts over.
    if (folder / "client-key.pem").exists():
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    addresses = "san=" + ",".join(f"ip:{host}" for host in hosts)
    _generate(java, folder / "node.p12", "PKCS12", "eslab node", [addresses, "eku=serverAuth"])
    _export(java, folder / "node.p12", folder / "ca.pem")
    _generate(java, folder / "client.jks", "JKS", "eslab client", ["eku=clientAuth"])
    _export(java, folder / "client.jks", folder / "client.pem")
    trust = ["-importcert", "-noprompt", "-file", folder / "client.pem", "-storetype", "PKCS12"]
    _keytool(java, folder / "clients.p12", *trust)
    _write_key(folder / "client.jks", folder / "client-key.pem")


def _generate(java: Java, store: Path, kind: str, name: str, extensions: list[str]) -> None:
    store.unlink(missing_ok=True)
    options = [part for extension in (*CERTIFICATE_USE, *extensions) for part in ("-ext", extension)]
    key = ["-genkeypair", "-keyalg", "RSA", "-keysize", "2048", "-validity", DAYS, "-storetype", kind]
    _keytool(java, store, *key, "-dname", f"CN={name}", "-keypass", PASSWORD, *options)


def _export(java: Java, store: Path, pem: Path) -> None:
    _keytool(java, store, "-exportcert", "-rfc", "-file", pem)


def _keytool(java: Java, store: Path, *args: str | Path) -> None:
    command = [java.keytool, *args, "-alias", "eslab", "-keystore", store, "-storepass", PASSWORD]
    environment = {**os.environ, **ENVIRONMENT}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)  # noqa: S603
    if done.returncode:
        raise ClusterError(
            f"{java.keytool} could not make a certificate in {store}: {done.stdout}{done.stderr}".strip()
            + ". Start without tls, or with another Java (JAVA_HOME)."
        )


def _write_key(store: Path, pem: Path) -> None:
    text = base64.encodebytes(private_key(store.read_bytes(), PASSWORD)).decode()
    pem.touch(mode=0o600)
    pem.write_text(f"-----BEGIN PRIVATE KEY-----\n{text}-----END PRIVATE KEY-----\n")


def private_key(keystore: bytes, password: str) -> bytes:
    """The first private key of a JKS keystore, as PKCS #8. Raises ValueError if it can't be read.

    keytool exports certificates but no private keys, and Python's ssl reads keys only as PEM. JKS is the one format
    of keytool that needs nothing but SHA-1 to open: 20 bytes of salt, then the key XORed with a chain of hashes of
    password and salt, then a checksum of 20 bytes.
    """
    entry = _encrypted_key(keystore)
    salt, body, checksum = entry[:20], entry[20:-20], entry[-20:]
    secret = password.encode("utf-16-be")
    stream = b""
    block = salt
    while len(stream) < len(body):
        block = hashlib.sha1(secret + block).digest()  # noqa: S324  the format's choice
        stream += block
    key = bytes(a ^ b for a, b in zip(body, stream, strict=False))
    if hashlib.sha1(secret + key).digest() != checksum:  # noqa: S324
        raise ValueError("The password doesn't open the key of this keystore")
    return key


def _encrypted_key(keystore: bytes) -> bytes:
    """The first entry: after a header of 12 bytes, tag 4, alias 2 + n, time 8, size 4 and 24 for the algorithm."""
    if keystore[:4] != b"\xfe\xed\xfe\xed":
        raise ValueError(f"Expected a JKS keystore, got one that begins with {keystore[:4].hex()}")
    start = 18 + int.from_bytes(keystore[16:18]) + 8
    size = int.from_bytes(keystore[start : start + 4])
    return keystore[start + 4 + 24 : start + 4 + size]
