#!/bin/busybox sh
# tests/kernels/guest.sh - process 1 of the virtual machine: mounts, lays out the cgroups, runs the suites, powers off.
#
# The kernel's command line says what to do: bv.layout=v2|v1|none, bv.mark=WORD, bv.suites=LIST, bv.only=NAME, bv.full=all|brief|inside.
# Everything that the suites print goes to the second serial line, each suite between two lines that begin with the mark, the second
# with its exit status.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PYTHONDONTWRITEBYTECODE=1

# The first root cannot be pivoted away from and its mount has no parent. A second mount of the same file system on top of it is an
# ordinary root, as every machine has, and nothing need be copied.
if [ "$1" != moved ]; then
    /bin/busybox --install -s /bin # what is there already stays
    mount -t proc proc /proc
    mount -o remount,size=90% / # memory is what these suites store in
    mkdir /n
    mount --bind / /n
    umount /proc
    cd /n && mount --move . / && exec chroot . /init moved
    exit 1
fi
mount -t proc proc /proc
mount -t devtmpfs dev /dev
mount -t sysfs sysfs /sys

param() {
    for word in $(cat /proc/cmdline); do
        case $word in "$1="*) echo "${word#*=}" ;; esac
    done
}
layout=$(param bv.layout) mark=$(param bv.mark) only=$(param bv.only) suites=$(param bv.suites) full=$(param bv.full)

mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t mqueue mqueue /dev/mqueue 2>/dev/null
mount --make-rshared /
ln -sf /proc/self/fd /dev/fd
chmod 666 /dev/null /dev/zero /dev/full /dev/random /dev/urandom
ip link set lo up
echo 1 >/proc/sys/kernel/unprivileged_userns_clone 2>/dev/null

# Layouts. v2: root is in the root cgroup, the user owns /user (delegated as cgroup-v2.rst says: directory, cgroup.procs,
# cgroup.threads, cgroup.subtree_control). v1: every controller that this kernel has in v1 gets a hierarchy, the rest stays in v2.
C=/sys/fs/cgroup
case $layout in
v2)
    mount -t cgroup2 -o nsdelegate cgroup2 $C || mount -t cgroup2 cgroup2 $C
    for c in cpu memory pids; do echo +$c >$C/cgroup.subtree_control; done
    mkdir $C/user $C/user/harness
    # A cgroup below it gets the controllers, as below a unit with Delegate=yes.
    for c in cpu memory pids; do echo +$c >$C/user/cgroup.subtree_control; done
    chown 1000:1000 $C/user $C/user/cgroup.procs $C/user/cgroup.threads $C/user/cgroup.subtree_control
    chown -R 1000:1000 $C/user/harness
    ;;
v1)
    mount -t tmpfs -o mode=755 cgroup $C
    for c in memory pids cpu,cpuacct freezer; do
        mkdir $C/$c
        mount -t cgroup -o $c cgroup $C/$c 2>/dev/null || rmdir $C/$c
    done
    mkdir $C/unified
    mount -t cgroup2 cgroup2 $C/unified
    ;;
none) ;;
esac

# A process of its own cgroup for every command of the user's: the only kind that may subdivide it (no internal processes).
cat >/enter <<'ENTER'
#!/bin/sh
d=/sys/fs/cgroup/user/run-$$
mkdir $d && echo $$ >$d/cgroup.procs && exec "$@"
ENTER
chmod 755 /enter

# One plan for each budget that rests on cgroups, as a document a line; a refusal is an answer too.
cat >/run/plans <<'PLANS'
#!/bin/sh
for limit in "--mem 64M --procs unlimited --cpu unlimited" "--mem unlimited --procs 8 --cpu unlimited" \
    "--mem unlimited --procs unlimited --cpu 1s"; do
    "$@" /t/bvisor plan --json --spawn any $limit -- /t/escape/payload x 2>/dev/null
    case $? in 0 | 126) ;; *) exit 1 ;; esac
done
PLANS
chmod 755 /run/plans

t=/dev/ttyS1
stty -F $t raw -echo -opost 2>/dev/null
exec 9>$t

# suite NAME COMMAND...: between two marks; what a program left open must not swallow the next one's.
suite() {
    name=$1
    shift
    printf '\n%s begin %s\n' "$mark" "$name" >&9
    began=$(cut -d' ' -f1 /proc/uptime)
    "$@" </dev/null >&9 2>&1
    status=$?
    printf '\n%s end %s %s %s %s\n' "$mark" "$name" "$status" "$began" "$(cut -d' ' -f1 /proc/uptime)" >&9
    # What a suite leaves running would slow down the next one, and is a finding of its own.
    ps -o pid,ppid,stat,args | grep -v -e '\[' -e ' ps -o' -e '/init' -e PPID >/run/left
    if [ -s /run/left ]; then sed "s/^/$mark left /" /run/left >&9; fi
    for d in $C/user/run-*; do rmdir "$d" 2>/dev/null; done
}

# undelegated: an ordinary user on a v2 machine whose cgroup belongs to root, as in most logins. no-userns: one who cannot make a user
# namespace either, as in many containers; it comes last, because nothing after it has any.
T=/t/tests everyone="root user"
case $layout in
v2) everyone="$everyone undelegated" ;;
none) everyone="$everyone no-userns" ;;
esac
for who in $everyone; do
    as="/t/escape/as_user 1000" wrap= identity=user
    case $who,$layout in
    root,*) as='' identity=root ;;
    user,v2)
        echo 0 >$C/user/harness/cgroup.procs
        wrap=/enter
        ;;
    undelegated,*) echo 0 >$C/cgroup.procs ;;
    no-userns,*) echo 0 >/proc/sys/user/max_user_namespaces ;;
    esac
    case ,$suites, in *,probe,*) suite "probe $who" $as $wrap /t/bvisor probe --json ;; esac
    case ,$suites, in *,probe,*) suite "plan $who" $as /run/plans $wrap ;; esac
    wrapped="--as $identity ${wrap:+--wrap $wrap}"
    # Nothing at all runs without namespaces, which the audit below holds against the plan: no load either.
    case ,$suites,$who in *no-userns) ;; *,load,*)
        suite "load $who" python3 $T/escape/load.py --bvisor /t/bvisor --load /t/escape/load $wrapped
        ;;
    esac
    case ,$suites, in *,escape,*)
        brief=--brief
        case $full,$who in *,undelegated | *,no-userns | inside,*) brief="--brief --inside-only" ;; all,*) brief= ;; esac
        suite "escape $who" python3 $T/escape/escape.py --bvisor /t/bvisor --attempts /t/escape --in-place --times $brief ${only:+--only $only} $wrapped
        ;;
    esac
    # Malformed input is turned away before anything that a layout or a user changes: once a kernel.
    case ,$suites,$who,$layout, in *,badinput,*root,v2,) suite "badspec $who" python3 $T/cli/test_badspec.py /t/bvisor ;; esac
done
printf '\n%s done\n' "$mark" >&9
stty -F $t drain 2>/dev/null
sleep 0.2
poweroff -f
