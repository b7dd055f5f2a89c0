#!/usr/bin/env bash
# Starts one Apache Kafka broker (KRaft, no ZooKeeper) on loopback from Maven's artifacts, in the foreground.
#
#   bench/realkafka/start.sh DIR [PORT [PROPERTY=VALUE...]]
#
# DIR keeps the data and the log; starting again with the same DIR goes on with the same data. PORT is the
# client listener's (default 19092); the next one is the controller's. Further arguments are broker
# properties, for example offsets.topic.num.partitions=8, and the last of a name counts. KAFKA_CLUSTER_ID, given to
# several, makes them one cluster: those beside the first get node.id, process.roles=broker, listeners and
# controller.quorum.voters as properties. Needs Java 17 and mvn; the first start fetches the
# broker's jars into Maven's repository. This process becomes the broker: SIGTERM or Ctrl-C stops it cleanly.
# It takes clients some seconds after the start.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
dir=${1:?usage: start.sh DIR [PORT [PROPERTY=VALUE...]]}
port=${2:-19092}
shift $(($# < 2 ? $# : 2))
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

# Asking Maven takes as long as starting the broker: its answer is kept while all the jars are there.
classpath=${XDG_CACHE_HOME:-$HOME/.cache}/spoor-realkafka/$(cksum <"$here/pom.xml" | tr ' ' -)
mkdir -p "$(dirname "$classpath")"
# One at a time: Maven's repository is not made for several that fill it.
(
  flock 9
  if [ ! -s "$classpath" ] || ! (IFS=: && ls $(cat "$classpath")) >/dev/null 2>&1; then
    mvn -q -B -f "$here/pom.xml" dependency:build-classpath -Dmdep.outputFile="$dir/classpath" >&2
    mv "$dir/classpath" "$classpath.$$" && mv "$classpath.$$" "$classpath"
  fi
) 9>"$classpath.lock"

cat >"$dir/server.properties" <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((port + 1))
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=$dir/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
EOF
for property in "$@"; do
  echo "$property" >>"$dir/server.properties"
done

heap=${KAFKA_HEAP:-512m}
java=(java -Xmx"$heap" -XX:+UseSerialGC -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$(cat "$classpath")")
if [ ! -f "$dir/data/meta.properties" ]; then
  id=${KAFKA_CLUSTER_ID:-$(head -c 16 /dev/urandom | base64 | tr '+/' 'xy' | tr -d '=')}
  "${java[@]}" kafka.tools.StorageTool format -t "$id" -c "$dir/server.properties" >>"$dir/log" 2>&1
fi

echo "kafka starts on 127.0.0.1:$port, its log is $dir/log" >&2
exec "${java[@]}" kafka.Kafka "$dir/server.properties" >>"$dir/log" 2>&1
