"""An authority and certificates of its, made by openssl for one test."""
import os
import subprocess

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def make_authority(folder, name):
    openssl(folder, "req", "-x509", *KEY, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}",
            "-days", "2")


def make_certificate(folder, authority, name, alternative_name):
    """What a migration's body says of it."""
    openssl(folder, "req", *KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    extension = os.path.join(folder, f"{name}.ext")
    with open(extension, "w", encoding="utf-8") as file:
        file.write(f"subjectAltName={alternative_name}\n")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
            "-CAcreateserial", "-days", "2", "-extfile", extension, "-out", f"{name}.pem")
    return {"certificate_path": os.path.join(folder, f"{name}.pem"), "key_path": os.path.join(folder, f"{name}.key"),
            "authority_path": os.path.join(folder, f"{authority}.pem")}
