"""Throw-away keys for a cluster's TLS, made by the Java runtime's own keytool; good for a lab, never for more."""

import base64
import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

from eslab.cluster.errors import ClusterError
from eslab.cluster.runtime import Java

PASSWORD = "throwaway"  # noqa: S105  keytool insists on one; the folder's permissions protect the keys
DAYS = "3650"
CERTIFICATE_USE = ["bc:critical=ca:true", "ku:critical=digitalSignature,keyCertSign"]


def make_certificates(folder: Path, hosts: Sequence[str], java: Java) -> None:
    """One certificate for all nodes, valid for their addresses, and one for a client; each vouches for itself.

    Leaves ca.pem (what a client trusts), node.p12 and clients.p12 (what a node has and trusts), client.pem and
    client-key.pem (what a client shows). Runs keytool five times, about 3 s; nothing if it is all there.
    """
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
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    if done.returncode:
        raise ClusterError(
            f"Expected {java.keytool} to make a certificate in {store}, found: {done.stdout}{done.stderr}".strip()
            + ". Start without tls, or with another Java (JAVA_HOME)."
        )


def _write_key(store: Path, pem: Path) -> None:
    text = base64.encodebytes(private_key(store.read_bytes(), PASSWORD)).decode()
    pem.touch(mode=0o600)
    pem.write_text(f"-----BEGIN PRIVATE KEY-----\n{text}-----END PRIVATE KEY-----\n")


def private_key(keystore: bytes, password: str) -> bytes:
    """The first private key of a JKS keystore, as PKCS #8. Raises ValueError if it can't be read.

    keytool gives certificates away but no private keys, and Python's ssl reads keys only as PEM; JKS is the one
    format of keytool's that plain hashes open: the key, after 20 bytes of salt and before 20 of checksum, is
    xored with a chain of SHA-1 sums of password and salt.
    """
    sealed = _sealed(keystore)
    salt, body, check = sealed[:20], sealed[20:-20], sealed[-20:]
    secret = password.encode("utf-16-be")
    stream, link = b"", salt
    while len(stream) < len(body):
        link = hashlib.sha1(secret + link).digest()  # noqa: S324  the format's choice
        stream += link
    key = bytes(a ^ b for a, b in zip(body, stream, strict=False))
    if hashlib.sha1(secret + key).digest() != check:  # noqa: S324
        raise ValueError("Expected the password of the keystore, found that it doesn't open the key")
    return key


def _sealed(keystore: bytes) -> bytes:
    """Header 12 bytes, tag 4, alias 2 + n, time 8; then the entry, 4 + n, of which 24 bytes name the algorithm."""
    if keystore[:4] != b"\xfe\xed\xfe\xed":
        raise ValueError(f"Expected a JKS keystore, found one that begins with {keystore[:4].hex()}")
    at = 18 + int.from_bytes(keystore[16:18]) + 8
    size = int.from_bytes(keystore[at : at + 4])
    return keystore[at + 4 + 24 : at + 4 + size]
