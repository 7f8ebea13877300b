# shellcheck shell=bash disable=SC2154
# What tombola needs to be built and tested, and how each package manager calls it. Sourced by run.sh, whose functions it uses.

package_manager() {
    local each
    for each in apt-get dnf pacman zypper; do
        if have "$each"; then
            say "$each"
            return
        fi
    done
}

# What is needed, how its presence shows, and what it is called: apt dnf pacman zypper. "-" is no package of that name.
needed="
command:clang       clang        clang                  clang     clang
command:make        make         make                   make      make
command:pkg-config  pkg-config   pkgconf-pkg-config     pkgconf   pkg-config
command:cc          gcc          gcc                    gcc       gcc
header:stdio.h      libc6-dev    glibc-devel            glibc     glibc-devel
header:libelf.h     libelf-dev   elfutils-libelf-devel  libelf    libelf-devel
header:zlib.h       zlib1g-dev   zlib-devel             zlib      zlib-devel
"
# For tests, the bench and comparisons; tombola builds and runs without them. Where there is apt the lane of other kernels fetches
# a QEMU of its own.
welcome="
command:bpftool     bpftool      bpftool                bpf           bpftool
command:setcap      libcap2-bin  libcap                 libcap        libcap-progs
command:setpriv     util-linux   util-linux             util-linux    util-linux
command:perf        linux-perf   perf                   perf          perf
command:trace-cmd   trace-cmd    trace-cmd              trace-cmd     trace-cmd
command:tmux        tmux         tmux                   tmux          tmux
command:stress-ng   stress-ng    stress-ng              stress-ng     stress-ng
command:runqlat     libbpf-tools libbpf-tools           libbpf-tools  libbpf-tools
command:pidstat     sysstat      sysstat                sysstat       sysstat
command:clang-format clang-format clang-tools-extra     clang     clang-tools
command:shellcheck  shellcheck   ShellCheck             shellcheck    ShellCheck
command:qemu-system-x86_64 - qemu-system-x86-core qemu-system-x86 qemu-x86
command:strip       binutils     binutils               binutils      binutils
command:ldd         libc-bin     glibc-common           glibc         glibc
command:chrt        util-linux   util-linux             util-linux    util-linux
command:cpio        cpio         cpio                   cpio          cpio
"

is_there() {
    case $1 in
    command:*) have "${1#command:}" ;;
    header:*) have cc && cc -E -include "${1#header:}" -x c /dev/null >/dev/null 2>&1 ;;
    esac
}

# Packages of a list that are missing, one a line.
missing_of() {
    local manager=$1 list=$2 probe apt dnf pacman zypper
    while read -r probe apt dnf pacman zypper; do
        [[ -n $probe ]] && ! is_there "$probe" || continue
        case $manager in
        apt-get) say "$apt" ;;
        dnf) say "$dnf" ;;
        pacman) say "$pacman" ;;
        zypper) say "$zypper" ;;
        *) say "${probe#*:}" ;;
        esac
    done <<<"$list" | grep -vx -e - | sort -u || true
}

fresh_lists=
install() {
    local manager=$1
    shift
    case $manager in
    apt-get)
        if [[ -z $fresh_lists ]]; then
            "${as_root[@]}" apt-get update -q </dev/null || note "the package lists could not be renewed"
            fresh_lists=yes
        fi
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends "$@" </dev/null
        ;;
    dnf) "${as_root[@]}" dnf install -y "$@" </dev/null ;;
    pacman) "${as_root[@]}" pacman -S --needed --noconfirm "$@" </dev/null ;;
    zypper) "${as_root[@]}" zypper --non-interactive install --no-recommends "$@" </dev/null ;;
    esac
}

setup_needed() {
    local manager missing
    manager=$(package_manager)
    mapfile -t missing < <(missing_of "$manager" "$needed")
    if ((${#missing[@]})); then
        [[ -n $manager ]] || die "no apt, dnf, pacman or zypper here; install by hand: ${missing[*]}"
        need_root "installing ${missing[*]}"
        say "setup: installing ${missing[*]}"
        install "$manager" "${missing[@]}"
        mapfile -t missing < <(missing_of "$manager" "$needed")
        ((${#missing[@]} == 0)) || die "still missing after the installation: ${missing[*]}"
    fi
    find_cargo || die "$no_cargo"
    cargo_is_recent || die "$(cargo --version) is too old: $no_cargo"
}

setup_welcome() {
    local manager missing each component
    manager=$(package_manager)
    mapfile -t missing < <(missing_of "$manager" "$welcome")
    if ((${#missing[@]})) && { [[ -z $manager ]] || ! can_be_root; }; then
        note "not installed, tests and bench skip what needs them: ${missing[*]}"
    else
        # One by one: a name that this release of a distribution does not know must not stop the others.
        for each in "${missing[@]}"; do
            say "setup: installing $each"
            install "$manager" "$each" || note "$each could not be installed; what needs it is skipped"
        done
    fi
    for component in rustfmt clippy; do
        run_cargo "${component/rust/}" --version >/dev/null 2>&1 && continue
        if have rustup; then
            "${as_caller[@]}" env "PATH=$PATH" rustup component add "$component" ||
                note "$component could not be installed; run.sh test skips it"
        else
            note "cargo has no $component; run.sh test skips it"
        fi
    done
}
