"""Certificates made with `openssl`, and the keys of the configuration that name them."""

import subprocess


CA = """[ca]
default_ca = only
[only]
database = {directory}/index
serial = {directory}/serial
new_certs_dir = {directory}
default_md = sha256
policy = any
unique_subject = no
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = {kind}:{host}
"""


def sign_again(directory, key, cert, kind, host, authority, since, until):
    """The same certificate, valid between the two times: only `openssl ca` can do that."""
    conf, request = directory / "ca.conf", directory / "request"
    conf.write_text(CA.format(directory=directory, kind=kind, host=host))
    (directory / "index").write_text("")
    (directory / "serial").write_text("01\n")
    words = ["x509", "-x509toreq", "-in", cert, "-signkey", key, "-out", request]
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
    words = ["ca", "-batch", "-notext", "-config", conf, "-in", request, "-out", cert, "-startdate", since, "-enddate", until]
    words += ["-cert", directory / f"{authority}.pem", "-keyfile", directory / f"{authority}.key"]
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def certificate(directory, name, host, authority=None, since=None, until=None):
    """A key and a certificate for `host`, signed by `authority` or by itself; valid for two days,
    or between `since` and `until` (YYYYMMDDHHMMSSZ)."""
    key, cert = directory / f"{name}.key", directory / f"{name}.pem"
    kind = "IP" if host.replace(".", "").isdigit() else "DNS"
    words = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", key, "-out", cert]
    words += ["-subj", f"/CN={name}", "-addext", f"subjectAltName={kind}:{host}"]
    if authority:
        words += ["-CA", directory / f"{authority}.pem", "-CAkey", directory / f"{authority}.key"]
    subprocess.run(["openssl", "req", "-x509", *map(str, words)], check=True, capture_output=True)
    if since:
        sign_again(directory, key, cert, kind, host, authority, since, until)
    return {
        "cluster__tls__cacertfile": directory / f"{authority or name}.pem",
        "cluster__tls__certfile": cert,
        "cluster__tls__keyfile": key,
    }
