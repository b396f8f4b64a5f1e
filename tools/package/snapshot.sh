# Start-up snapshots of the daemons: Node's memory when all modules of a daemon have been loaded.
# Read by /usr/sbin/stafd, /usr/sbin/stacd and make-snapshots.
#
# Without a snapshot a daemon starts as well, only slower. So one is used only as long as nothing
# that it was made of, nor itself, has been touched since, and by systemd's services alone.

snapshots=/usr/lib/nvme-stas-node/snapshots

# One line, that of now: the processor, the snapshot of a daemon, its program, the files of Node.
# By the inode and the time of its change a file is known to be another, whatever its date says.
snapshot_made_of() { # daemon, files of Node
  read -r processor </sys/devices/system/cpu/modalias || return
  stats=$(stat -Lc %i:%s:%Y:%Z -- "$snapshots/$1" "/usr/lib/nvme-stas-node/$1.cjs" $2) || return
  echo "$processor" $stats
}

# Sets `snapshot` to the options for a start from the snapshot, or to nothing.
use_snapshot() { # daemon
  snapshot=
  # Options of Node would be others than those that the snapshot was made with.
  [ -n "${RUNTIME_DIRECTORY:-}" ] && [ -z "${NODE_OPTIONS:-}" ] || return 0
  { read -r files && read -r made_of; } 2>/dev/null <"$snapshots/$1.made-of" || return 0
  [ "$(snapshot_made_of "$1" "$files" 2>/dev/null)" = "$made_of" ] || return 0
  # The daemon removes the mark when it runs: what fails once fails only once.
  mark=$RUNTIME_DIRECTORY/starting-from-snapshot
  [ ! -e "$mark" ] && true 2>/dev/null >"$mark" || return 0
  snapshot="--snapshot-blob $snapshots/$1"
}
