// Package kafka is the pipeline's ends on a Kafka cluster: Source, Committer, the consumer group that says
// which partitions are ours, the preflight that says what is wrong with a cluster, and plain reading of a
// topic. It is the only door to kafka-go, of which it uses the connections, the group protocol and the
// small requests; fetching and producing are its own messages over the same connections, because kafka-go's
// reader checks no CRC, delivers aborted records and costs several times the CPU, and its writer knows
// neither idempotence nor the offsets it was given.
//
// It holds no state of the pipeline but partitions kept warm between two generations. It imports pipeline
// and pipeline/event and nothing else of ours.
package kafka
