#!/bin/sh
# Runs Debian's Apache in $DATA, which its own user can read, on $PORT of this machine only.
set -eu
chmod 755 "$DATA"
cp -r htdocs "$DATA"
exec /usr/sbin/apache2 -f "$PWD/httpd.conf" -DFOREGROUND
