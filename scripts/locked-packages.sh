# Packages that a folder of scripts/ locks, installed into a cache on first use. scripts/runtime and scripts/cluster-tool source this
# file, and define `fail MESSAGE`, which prints the message and exits.

# install_locked FOLDER HOME PROGRAM WHAT [npm option…]
# Installs the packages of FOLDER/package-lock.json to HOME, unless HOME has PROGRAM. npm checks each package against the
# integrity in the lock file. The installation is built under another name and then renamed, so an interrupted run leaves no
# partial one. If several runs start at once, one installs and the others wait. The function complete_locked of the caller runs in
# the new installation before it gets its name.
install_locked() {
  local folder=$1 home=$2 program=$3 what=$4 aside=$2.new lock
  shift 4
  [ ! -x "$home/$program" ] || return 0
  command -v npm >/dev/null || fail 'npm is missing: it comes with Node.js'
  mkdir -p "${home%/*}"
  exec {lock}>"$home.lock"
  flock "$lock"
  [ ! -x "$home/$program" ] || return 0 # another run has installed it meanwhile
  rm -rf "$home" "$aside"
  mkdir "$aside"
  cp "$folder/package.json" "$folder/package-lock.json" "$aside/"
  [ ! -f "$folder/.npmrc" ] || cp "$folder/.npmrc" "$aside/"
  echo "• $what (npm)" >&2
  (cd "$aside" && npm ci "$@" --ignore-scripts --no-audit --no-fund --no-progress \
    --no-update-notifier --loglevel=error </dev/null >&2) || fail "npm could not install $what"
  (cd "$aside" && complete_locked) || fail "npm installed $what, but its files are not usable"
  [ -x "$aside/$program" ] || fail "npm installed no $program; is the registry reachable?"
  mv "$aside" "$home"
}
