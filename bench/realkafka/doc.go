// Package realkafka runs the built engine against Apache Kafka 4.x on loopback: members killed and added in
// mid-stream, the broker restarted, and what came out held against a replay of what went in. It needs Java
// and Maven (the broker comes from Maven Central) and is behind a build tag:
//
//	go test -tags realkafka -count=1 -v ./bench/realkafka
//	go test -tags realkafka -short -count=1 -v -run TestExactlyOnce ./bench/realkafka    # a minute
//	REALKAFKA_EVENTS=500000 REALKAFKA_STEPS=12 go test -tags realkafka -count=1 -timeout 20m -v -run TestExactlyOnce ./bench/realkafka
//	REALKAFKA_COST=200000 go test -tags realkafka -count=1 -timeout 20m -v -run TestCost ./bench/realkafka
package realkafka
