"""An authority and certificates of its, made by openssl for one test."""
import os
import re
import subprocess
import time

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


def shorten(authority, host, left_s):
    """Replaces host.pem in the folder `host` by one for the same key and names, signed with `authority`/ca.key, of which
    two thirds of a time three times as long as `left_s` have gone, and a little more. When it ends, in seconds since 1970."""
    ends = int(time.time()) + left_s
    begins = ends - 4 * left_s
    names = subprocess.run(["openssl", "x509", "-in", "host.pem", "-noout", "-ext", "subjectAltName"], cwd=host, check=True,
                           capture_output=True, text=True).stdout
    dns, address = re.search(r"DNS:([^,\s]+), IP Address:(\S+)", names).groups()
    with open(os.path.join(host, "short.cnf"), "w", encoding="utf-8") as file:
        file.write(f"""[ca]\ndefault_ca=own\n[own]\ndatabase={host}/short.index\nrand_serial=yes\nnew_certs_dir={host}\n
default_md=sha256\npolicy=any\nx509_extensions=host\nunique_subject=no\n[any]\ncommonName=supplied\n[host]
subjectAltName=DNS:{dns},IP:{address}\nextendedKeyUsage=serverAuth,clientAuth\n""")
    open(os.path.join(host, "short.index"), "w", encoding="utf-8").close()
    openssl(host, "req", "-new", "-key", "host.key", "-subj", f"/CN={dns}", "-out", "short.csr")
    moments = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(moment)) for moment in (begins, ends)]
    openssl(host, "ca", "-batch", "-notext", "-config", "short.cnf", "-cert", os.path.join(authority, "ca.pem"), "-keyfile",
            os.path.join(authority, "ca.key"), "-in", "short.csr", "-out", "host.pem", "-startdate", moments[0], "-enddate", moments[1])
    return ends
