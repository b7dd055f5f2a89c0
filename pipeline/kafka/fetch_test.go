package kafka

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// answer encodes a response as kmsg does, for a version.
func answer(version int16) []byte {
	res := kmsg.NewPtrFetchResponse()
	res.Version = version
	topic := kmsg.NewFetchResponseTopic()
	topic.Topic = "in"
	part := kmsg.NewFetchResponseTopicPartition()
	part.Partition, part.HighWatermark, part.LastStableOffset, part.LogStartOffset = 3, 100, 90, 5
	part.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 8, FirstOffset: 70}, {ProducerID: 7, FirstOffset: 60}}
	part.RecordBatches = []byte("records")
	topic.Partitions = append(topic.Partitions, part)
	res.Topics = append(res.Topics, topic)
	return res.AppendTo(binary.BigEndian.AppendUint32(nil, correlation))
}

func TestFetchAgainstKmsg(t *testing.T) {
	for version := int16(minFetchVersion); version <= maxFetchVersion; version++ {
		var wire bytes.Buffer
		wire.Write(binary.BigEndian.AppendUint32(nil, uint32(len(answer(version)))))
		wire.Write(answer(version))
		var sent bytes.Buffer
		req := &fetchRequest{topic: "in", partition: 3, offset: 42, clientID: "c", maxWaitMs: 500, maxBytes: 1 << 20}
		if !req.Required(map[protocol.ApiKey]int16{protocol.Fetch: version}) {
			t.Fatal("not required")
		}
		m, err := req.RawExchange(readWriter{&wire, &sent})
		if err != nil {
			t.Fatalf("v%d: %v", version, err)
		}
		got := m.(*fetchResponse)
		got.buf = nil
		want := &fetchResponse{highWater: 100, stable: 90, logStart: 5, aborted: []abortedTxn{{7, 60}, {8, 70}}, records: []byte("records")}
		if version < 5 {
			want.logStart = -1
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("v%d: %+v, want %+v", version, got, want)
		}

		// The request is what kmsg reads: behind length, key, version, correlation and client id.
		p := sent.Bytes()
		if n := int(binary.BigEndian.Uint32(p)); n != len(p)-4 {
			t.Errorf("v%d: the request says %d bytes, has %d", version, n, len(p)-4)
		}
		asked := kmsg.NewPtrFetchRequest()
		asked.Version = version
		if err := asked.ReadFrom(p[4+2+2+4+2+1:]); err != nil {
			t.Fatalf("v%d: %v", version, err)
		}
		part := asked.Topics[0].Partitions[0]
		if asked.ReplicaID != -1 || asked.IsolationLevel != 1 || asked.MaxWaitMillis != 500 || asked.Topics[0].Topic != "in" || part.Partition != 3 || part.FetchOffset != 42 || part.PartitionMaxBytes != 1<<20 ||
			version >= 9 && part.CurrentLeaderEpoch != -1 || version >= 7 && asked.SessionEpoch != -1 {
			t.Errorf("v%d: the request reads as %+v", version, asked)
		}
		if !bytes.Equal(asked.AppendTo(nil), p[4+2+2+4+2+1:]) {
			t.Errorf("v%d: the request has bytes that kmsg does not write", version)
		}
	}
}

type readWriter struct {
	io.Reader
	io.Writer
}

func TestFetchRefusesOtherVersions(t *testing.T) {
	for _, version := range []int16{0, 3, 12} {
		req := &fetchRequest{version: version}
		if _, err := req.RawExchange(nil); err == nil || !strings.Contains(err.Error(), "versions 4 to 11") {
			t.Errorf("v%d: %v", version, err)
		}
	}
}

func TestFetchRefusesHugeAnnouncement(t *testing.T) {
	req := &fetchRequest{version: 11, maxBytes: 1 << 20}
	_, err := req.RawExchange(readWriter{bytes.NewReader([]byte{0x7f, 0xff, 0xff, 0xff}), io.Discard})
	if err == nil || !strings.Contains(err.Error(), "announces") {
		t.Error(err)
	}
	// An announcement within the bound allocates with what arrives, not with what is announced.
	req = &fetchRequest{version: 11, maxBytes: 1 << 20}
	if n := testing.AllocsPerRun(1, func() {
		req.RawExchange(readWriter{bytes.NewReader([]byte{0x03, 0xff, 0xff, 0xff, 1, 2, 3}), io.Discard})
	}); n > 20 {
		t.Error(n)
	}
}

func TestMutatedResponses(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for version := int16(minFetchVersion); version <= maxFetchVersion; version++ {
		good := answer(version)
		for n := range good {
			if _, err := parseFetch(good[:n], version, "in", 3); err == nil {
				t.Fatalf("v%d: %d of %d bytes are enough", version, n, len(good))
			}
		}
		for range 2000 {
			p := bytes.Clone(good)
			p[r.IntN(len(p))] = byte(r.Uint32())
			parseFetch(p, version, "in", 3)
		}
	}
}

func FuzzFetch(f *testing.F) {
	for version := int16(minFetchVersion); version <= maxFetchVersion; version++ {
		f.Add(answer(version), version)
	}
	f.Fuzz(func(t *testing.T, p []byte, version int16) {
		res, err := parseFetch(p, version, "in", 3)
		if err == nil && len(res.records) > len(p) {
			t.Fatal("more records than bytes")
		}
		parseAuthorized(p)
	})
}
