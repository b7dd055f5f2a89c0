// Package realkafka runs the built engine against Apache Kafka 4.x on loopback, and holds what came out against a
// replay of what went in. It needs Java and Maven (the broker comes from Maven Central) and is behind a build tag:
//
//	go test -tags realkafka -short -count=1 -v ./bench/realkafka
//	go test -tags realkafka -count=1 -timeout 60m -v ./bench/realkafka
//
// The first is what .ci/run runs, a minute: TestExactlyOnce kills a member, freezes one for longer than its session,
// restarts the broker and replaces all members; beside it TestFailureTable does one thing of each kind to a group at a
// step of its commit (failure_test.go says which). The second does it all: at every step; with more traffic, at least
// once and without a changelog; what operators do; two brokers of which one is lost; SASL sessions that expire; and a short
// soak. Further:
//
//	REALKAFKA_SOAK=22 go test -tags realkafka -count=1 -timeout 60m -v -run TestSoak ./bench/realkafka
//	go test -tags realkafka -count=1 -v -run TestFailureTable/late/EndTxn ./bench/realkafka
//	REALKAFKA_EVENTS=500000 REALKAFKA_STEPS=12 go test -tags realkafka -count=1 -timeout 20m -v -run TestExactlyOnce ./bench/realkafka
//
// Random choices are from REALKAFKA_SEED, which is printed. What it costs is measured by TestCost, TestLatency, TestRebalanceGap
// and TestRestoreCost, which run only when they are asked for; each says how.
package realkafka
