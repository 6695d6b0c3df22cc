#!/bin/sh
# Puts the destinations of farm.csv into the table of each node, unless the table has some: so it may be run again.
# Run it in the folder that the nodes run in. HEADROOM is the command, when it is not "headroom".
set -eu
here=$(dirname "$0")
for node in node1 node2; do
  if ${HEADROOM:-headroom} destinations list --json --config "$here/$node.yaml" | grep -q dst_uri; then
    echo "$node has its destinations already"
  else
    ${HEADROOM:-headroom} destinations import --config "$here/$node.yaml" "$here/farm.csv"
  fi
done
