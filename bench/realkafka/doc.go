// Package realkafka runs the built engine against Apache Kafka 4.x on loopback: members killed and added in
// mid-stream, the broker restarted, and what came out held against a replay of what went in. It needs Java
// and Maven (the broker comes from Maven Central) and is behind a build tag:
//
//	go test -tags realkafka -count=1 -v ./bench/realkafka
package realkafka
