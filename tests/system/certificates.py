"""Certificates made with `openssl`, and the keys of the configuration that name them."""

import subprocess


def certificate(directory, name, host, authority=None):
    """A key and a certificate for `host`, signed by `authority` or by itself."""
    key, cert = directory / f"{name}.key", directory / f"{name}.pem"
    kind = "IP" if host.replace(".", "").isdigit() else "DNS"
    words = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", key, "-out", cert]
    words += ["-subj", f"/CN={name}", "-addext", f"subjectAltName={kind}:{host}"]
    if authority:
        words += ["-CA", directory / f"{authority}.pem", "-CAkey", directory / f"{authority}.key"]
    subprocess.run(["openssl", "req", "-x509", *map(str, words)], check=True, capture_output=True)
    return {
        "cluster__tls__cacertfile": directory / f"{authority or name}.pem",
        "cluster__tls__certfile": cert,
        "cluster__tls__keyfile": key,
    }
