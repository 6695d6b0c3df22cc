#!/bin/sh
# The first process of a container, for restarts without a stop: it stays while one headroom takes over from the other, passes signals on to the one that
# runs, and ends with it. In a Dockerfile: ENTRYPOINT ["/usr/local/bin/container-start.sh"], CMD ["--config", "/etc/headroom.yaml"].
pid_file=${HEADROOM_PID_FILE:-/var/lib/headroom/headroom.pid}
rm -f "$pid_file"
${HEADROOM:-headroom} start --pid-file "$pid_file" "$@" &
first=$!
pass() { kill "-$1" "$(cat "$pid_file" 2>/dev/null || echo "$first")"; }
for signal in TERM INT HUP USR2; do trap "pass $signal" "$signal"; done

# A wait ends with each signal, and with the end of the first process, which may have been relieved.
code=0
while kill -0 "$first" 2>/dev/null; do
  wait "$first"
  code=$?
done
while running=$(cat "$pid_file" 2>/dev/null) && kill -0 "$running" 2>/dev/null; do
  code=0
  sleep 1 &
  wait $!
done
exit "$code"
