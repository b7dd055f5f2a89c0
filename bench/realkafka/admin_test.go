//go:build realkafka

package realkafka

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What operators do to a cluster, and what they see of it.

// as is b on behalf of another test.
func (b *broker) as(t *testing.T) *broker {
	c := *b
	c.t = t
	return &c
}

// request sends one request with another library than the engine's and fails the test when it does not pass.
func request[T any](b *broker, req interface {
	kmsg.Request
	RequestWith(context.Context, kmsg.Requestor) (T, error)
}) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	res, err := req.RequestWith(ctx, b.admin)
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

// none fails the test when a broker answered with an error.
func (b *broker) none(what string, code int16) {
	b.t.Helper()
	if code != 0 {
		b.t.Fatalf("%s: error %d", what, code)
	}
}

func (b *broker) createTopic(name string, partitions int32) {
	b.t.Helper()
	// Simulated records are older than the default retention.
	b.createTopicWith(name, partitions, map[string]string{"retention.ms": "-1"})
}

func (b *broker) createTopicWith(name string, partitions int32, settings map[string]string) {
	b.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, int16(max(b.nodes, 1))
	for k, v := range settings {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = k, &v
		topic.Configs = append(topic.Configs, c)
	}
	req.Topics = append(req.Topics, topic)
	b.none("creating "+name, request(b, req).Topics[0].ErrorCode)
	b.logEnds(name, partitions)
}

func (b *broker) deleteTopic(name string) {
	b.t.Helper()
	req := kmsg.NewPtrDeleteTopicsRequest()
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = &name
	req.Topics, req.TopicNames = append(req.Topics, topic), append(req.TopicNames, name)
	b.none("deleting "+name, request(b, req).Topics[0].ErrorCode)
}

// grow gives a topic more partitions.
func (b *broker) grow(name string, partitions int32) {
	b.t.Helper()
	req := kmsg.NewPtrCreatePartitionsRequest()
	topic := kmsg.NewCreatePartitionsRequestTopic()
	topic.Topic, topic.Count = name, partitions
	req.Topics = append(req.Topics, topic)
	b.none("growing "+name, request(b, req).Topics[0].ErrorCode)
}

// set gives a topic a setting, or takes it away when value is empty.
func (b *broker) set(topic, name, value string) {
	b.t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Op = name, kmsg.IncrementalAlterConfigOpDelete
	if value != "" {
		c.Value, c.Op = &value, kmsg.IncrementalAlterConfigOpSet
	}
	res.Configs = append(res.Configs, c)
	req.Resources = append(req.Resources, res)
	b.none("setting "+name+" of "+topic, request(b, req).Resources[0].ErrorCode)
}

// acl says what everybody may do with a topic, or not. Whatever is not said of a topic with any is not allowed.
func (b *broker) acl(topic string, operation kmsg.ACLOperation, permission kmsg.ACLPermissionType) {
	b.t.Helper()
	req := kmsg.NewPtrCreateACLsRequest()
	acl := kmsg.NewCreateACLsRequestCreation()
	acl.ResourceType, acl.ResourceName, acl.ResourcePatternType = kmsg.ACLResourceTypeTopic, topic, kmsg.ACLResourcePatternTypeLiteral
	acl.Principal, acl.Host, acl.Operation, acl.PermissionType = "User:*", "*", operation, permission
	req.Creations = append(req.Creations, acl)
	b.none("creating an ACL", request(b, req).Results[0].ErrorCode)
}

func (b *broker) deleteACLs(topic string) {
	b.t.Helper()
	req := kmsg.NewPtrDeleteACLsRequest()
	filter := kmsg.NewDeleteACLsRequestFilter()
	filter.ResourceType, filter.ResourceName, filter.ResourcePatternType = kmsg.ACLResourceTypeTopic, &topic, kmsg.ACLResourcePatternTypeLiteral
	filter.Operation, filter.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	req.Filters = append(req.Filters, filter)
	b.none("deleting ACLs", request(b, req).Results[0].ErrorCode)
}

func (b *broker) partitionsOf(topic string) int32 {
	b.t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	rt := kmsg.NewMetadataRequestTopic()
	rt.Topic = &topic
	req.Topics = append(req.Topics, rt)
	return int32(len(request(b, req).Topics[0].Partitions))
}

// transactions are the states of transactions by their transactional id; "" when the coordinator does not know the id.
func (b *broker) transactions(ids ...string) map[string]string {
	b.t.Helper()
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = ids
	states := map[string]string{}
	for _, s := range request(b, req).TransactionStates {
		states[s.TransactionalID] = s.State
	}
	return states
}

// producers is how many producers the first partition of a topic knows.
func (b *broker) producers(topic string) int {
	b.t.Helper()
	req := kmsg.NewPtrDescribeProducersRequest()
	rt := kmsg.NewDescribeProducersRequestTopic()
	rt.Topic, rt.Partitions = topic, []int32{0}
	req.Topics = append(req.Topics, rt)
	return len(request(b, req).Topics[0].Partitions[0].ActiveProducers)
}

// logEnds are the end offsets of the first partitions of topic, whatever transactions are open.
func (b *broker) logEnds(topic string, partitions int32) []int64 {
	b.t.Helper()
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = topic
	for p := range partitions {
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Partition, rp.Timestamp = p, -1
		rt.Partitions = append(rt.Partitions, rp)
	}
	req.Topics = append(req.Topics, rt)
	ends := make([]int64, partitions)
	await(b.t, "the ends of "+topic, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		res, err := req.RequestWith(ctx, b.admin)
		known := err == nil && len(res.Topics) == 1
		for i := 0; known && i < len(res.Topics[0].Partitions); i++ {
			p := &res.Topics[0].Partitions[i]
			ends[p.Partition] = p.Offset
			known = p.ErrorCode == 0 // a leader that just became one does not know it yet
		}
		return known
	})
	return ends
}

// ends is the sum of the end offsets of topic.
func (b *broker) ends(topic string, partitions int32) int64 {
	b.t.Helper()
	return sum(b.logEnds(topic, partitions))
}

func sum(offsets []int64) (total int64) {
	for _, o := range offsets {
		total += max(o, 0)
	}
	return total
}

// offsets are the group's committed offsets of topic, -1 where there is none; nil while they cannot be read. What a
// transaction that was told to end has not brought there yet is missing.
func (b *broker) offsets(group, topic string, partitions int32) []int64 {
	return b.fetchOffsets(group, topic, partitions, false)
}

// settled are the offsets when no transaction is on its way there any more; nil while one is.
func (b *broker) settled(group, topic string, partitions int32) []int64 {
	return b.fetchOffsets(group, topic, partitions, true)
}

func (b *broker) fetchOffsets(group, topic string, partitions int32, stable bool) []int64 {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = stable
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group = group
	gt := kmsg.NewOffsetFetchRequestGroupTopic()
	gt.Topic = topic
	rt := kmsg.NewOffsetFetchRequestTopic()
	rt.Topic = topic
	for p := range partitions {
		gt.Partitions, rt.Partitions = append(gt.Partitions, p), append(rt.Partitions, p)
	}
	rg.Topics = append(rg.Topics, gt)
	req.Group, req.Topics, req.Groups = group, append(req.Topics, rt), append(req.Groups, rg)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	resp, err := req.RequestWith(ctx, b.admin)
	if err != nil || len(resp.Groups) == 0 || len(resp.Groups[0].Topics) == 0 {
		return nil
	}
	offsets := make([]int64, partitions)
	for _, p := range resp.Groups[0].Topics[0].Partitions {
		if p.ErrorCode != 0 {
			return nil
		}
		offsets[p.Partition] = p.Offset
	}
	return offsets
}

// committed is the sum of the group's committed offsets of topic; -1 while there is none.
func (b *broker) committed(group, topic string, partitions int32) int64 {
	offsets := b.offsets(group, topic, partitions)
	if offsets == nil {
		return -1
	}
	return sum(offsets)
}

// setOffsets does what an operator does with kafka-consumer-groups.
func (b *broker) setOffsets(group, topic string, offsets []int64) {
	b.t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = group, -1
	rt := kmsg.NewOffsetCommitRequestTopic()
	rt.Topic = topic
	for p, o := range offsets {
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		rp.Partition, rp.Offset = int32(p), o
		rt.Partitions = append(rt.Partitions, rp)
	}
	req.Topics = append(req.Topics, rt)
	for _, p := range request(b, req).Topics[0].Partitions {
		b.none("setting an offset", p.ErrorCode)
	}
}
