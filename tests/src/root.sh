# The first process of a node's own namespaces. It puts a throw-away layer over the machine's files, so that what the node
# changes is gone with it, and waits for all processes that lose their parent, as an init does, or becomes systemd.
#
# $1: the node's folder, with `prepare`, which is run inside first. $2, $3: folders that are the same inside and outside.
# $4: the cgroup for a systemd; empty for none. Then the node's program with its arguments.
set -eu
folder=$1 fleet=$2 programs=$3 cgroup=$4
shift 4
layers=$folder/root
mkdir -p "$layers"
mount -t tmpfs -o mode=0755 tmpfs "$layers"
mkdir "$layers/upper" "$layers/work" "$layers/merged"
root=$layers/merged
mount -t overlay -o "lowerdir=/,upperdir=$layers/upper,workdir=$layers/work" overlay "$root"
mount --rbind /dev "$root/dev"
if [ -n "$cgroup" ]; then mount -t sysfs sysfs "$root/sys"; else mount --rbind /sys "$root/sys"; fi
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=0755 tmpfs "$root/run"
for shared in "$fleet" "$programs"; do
    mkdir -p "$root$shared"
    mount --bind "$shared" "$root$shared"
done
chroot "$root" /bin/sh -eu "$folder/prepare"
if [ -z "$cgroup" ]; then
    chroot "$root" "$@" &
    wait $!
    exit
fi
mkdir -p "$root/run/systemd/system"
cat > "$root/run/systemd/system/orch-node.service" <<UNIT
[Unit]
DefaultDependencies=no
[Service]
ExecStart=$*
StandardError=append:$folder/log.node
UNIT
# Its own cgroup is the root of all that systemd sees of them.
echo 0 > "$cgroup/cgroup.procs"
export container=orch-test
exec unshare --cgroup -- /bin/sh -euc 'mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
    exec chroot "$1" /lib/systemd/systemd --system --unit=orch-node.service --log-target=console' systemd "$root"
