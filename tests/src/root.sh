# The first process of a node's own namespaces. It puts a throw-away layer over the machine's files, so that what the node
# changes is gone with it, and waits for all processes that lose their parent, as an init does.
#
# $1: the node's folder, with `prepare`, which is run inside first. $2, $3: folders that are the same inside and outside.
# Then the node's program with its arguments.
set -eu
folder=$1 fleet=$2 programs=$3
shift 3
layers=$folder/root
mkdir -p "$layers"
mount -t tmpfs -o mode=0755 tmpfs "$layers"
mkdir "$layers/upper" "$layers/work" "$layers/merged"
root=$layers/merged
mount -t overlay -o "lowerdir=/,upperdir=$layers/upper,workdir=$layers/work" overlay "$root"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=0755 tmpfs "$root/run"
for shared in "$fleet" "$programs"; do
    mkdir -p "$root$shared"
    mount --bind "$shared" "$root$shared"
done
chroot "$root" /bin/sh -eu "$folder/prepare"
chroot "$root" "$@" &
wait $!
