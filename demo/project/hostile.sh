#!/bin/sh
# demo/project/hostile.sh SECRET PORT NAME - what a build script that has been tampered with might do. The demo runs it under the contract of
# the build; each step reports what it believes, the demo then looks at the host.
exec 2>&1
echo "read the secret:  $(cat "$1" || true)"
echo "send it away:     $(perl -MSocket -e '
    socket(S, PF_INET, SOCK_STREAM, 0) && connect(S, pack_sockaddr_in($ARGV[0], inet_aton("127.0.0.1"))) && syswrite(S, "stolen")
        ? print "sent" : print $!' "$2")"
echo "leave a daemon:   started"
setsid perl -e '$0 = $ARGV[0]; $SIG{TERM} = "IGNORE"; close STDOUT; close STDERR; sleep 60' "$3" &
echo "fork a bomb:      $(perl -e '
    my @made;
    while (@made < 2000) { my $pid = fork; last unless defined $pid; if ($pid == 0) { close STDOUT; sleep 60; exit } push @made, $pid }
    print scalar(@made), " processes, then: $!";
    kill 9, @made; wait for @made')"
echo "fill the memory:"
perl -e 'my @held; for (1 .. 40) { push @held, "x" x (16 << 20) } print "    640 MiB held\n"'
echo "done"
