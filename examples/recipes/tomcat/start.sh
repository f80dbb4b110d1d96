#!/bin/sh
# Runs the app in Debian's Tomcat: an instance of its own in $DATA, on $PORT of this machine only.
set -eu
cp -r /usr/share/tomcat10/skel/. "$DATA"
mkdir -p "$DATA/webapps" "$DATA/logs" "$DATA/temp" "$DATA/work"
cp -r webapp "$DATA/webapps/tomcat"
sed -i "s/<Connector port=\"8080\"/<Connector address=\"127.0.0.1\" port=\"$PORT\"/" "$DATA/conf/server.xml"
CATALINA_BASE=$DATA exec /usr/share/tomcat10/bin/catalina.sh run
