#!/usr/bin/env bash
# timed.sh NAME COMMAND...: runs the command and says how many minutes it took; exits with its code.
name=$1
shift
begun=$SECONDS
"$@"
code=$?
took=$((SECONDS - begun))
printf -- '-- %s: %d.%d min%s\n' "$name" $((took / 60)) $((took % 60 / 6)) "$([ $code = 0 ] || echo " (failed with $code)")"
exit $code
