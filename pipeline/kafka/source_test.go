package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"spoor/pipeline"
	"spoor/pipeline/embedded"
	"spoor/pipeline/event"
)

// testSource is a source of partition 0 of topic in.
func testSource(t testing.TB, b *embedded.Broker, next int64, log *slog.Logger, change func(*Config)) (*source, *pipeline.Metrics) {
	t.Helper()
	cfg := config(b)
	if change != nil {
		change(&cfg)
	}
	c, err := connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	m := pipeline.NewMetrics(nil)
	s := newSource(c, pipeline.TopicPartition{Topic: "in"}, next, m, log)
	t.Cleanup(s.close)
	return s, m
}

// drain reads until the position is at least end.
func drain(t testing.TB, s *source, end int64) []pipeline.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out []pipeline.Record
	for s.next < end {
		f, err := s.Next(ctx)
		if err != nil {
			t.Fatalf("at position %d of %d: %v", s.next, end, err)
		}
		if f.Next != s.next {
			t.Fatalf("Next says %d, the position is %d", f.Next, s.next)
		}
		for _, r := range f.Records {
			out = append(out, cloneRecord(r))
		}
	}
	return out
}

// script makes the broker answer fetches of topic in with the batches of a log made by hand.
type script struct {
	mu      sync.Mutex
	batches [][]byte // ascending
	end     int64
	aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction
	max     int // bytes of an answer; 0: no bound
	asked   []int64
}

func (s *script) install(c *kfake.Cluster) {
	c.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		s.mu.Lock()
		defer s.mu.Unlock()
		req := r.(*kmsg.FetchRequest)
		asked := req.Topics[0].Partitions[0]
		s.asked = append(s.asked, asked.FetchOffset)
		res := req.ResponseKind().(*kmsg.FetchResponse)
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic = req.Topics[0].Topic
		part := kmsg.NewFetchResponseTopicPartition()
		part.Partition, part.HighWatermark, part.LastStableOffset, part.AbortedTransactions = asked.Partition, s.end, s.end, s.aborted
		for _, raw := range s.batches {
			base, delta := int64(binary.BigEndian.Uint64(raw)), int32(binary.BigEndian.Uint32(raw[batchLastDeltaAt:]))
			if base+int64(delta) >= asked.FetchOffset { // a broker believes the header
				part.RecordBatches = append(part.RecordBatches, raw...)
			}
		}
		if s.max > 0 && len(part.RecordBatches) > s.max {
			part.RecordBatches = part.RecordBatches[:s.max]
		}
		topic.Partitions = append(topic.Partitions, part)
		res.Topics = append(res.Topics, topic)
		return res, nil, true
	})
}

func offsets(records []pipeline.Record) []int64 {
	var out []int64
	for _, r := range records {
		out = append(out, r.Offset)
	}
	return out
}

// marker is a control batch that ends the transaction of producer 7.
func marker(base int64, commit byte) []byte {
	p := []byte{0, 0, 0, 8, 0, 0, 0, commit, 2, 0, 0}
	return seal(base, attrControl|attrTransactional, 0, 1, append([]byte{byte(len(p) * 2)}, p...))
}

func TestSourcePositions(t *testing.T) {
	one := func(base int64) []byte { return seal(base, 0, 0, 1, rec(0)) }
	inTxn := func(base int64) []byte { return seal(base, attrTransactional, 0, 1, rec(0)) }
	for _, tt := range []struct {
		name    string
		log     *script
		from    int64
		offsets []int64
		next    int64
	}{
		{"compaction left gaps, and an empty batch at the end", &script{batches: [][]byte{seal(0, 0, 4, 2, append(rec(1), rec(3)...)), one(17), seal(20, 0, 9, 0, nil)}, end: 30}, 0, []int64{1, 3, 17}, 30},
		{"only control batches", &script{batches: [][]byte{marker(0, 1), marker(1, 1)}, end: 2}, 0, nil, 2},
		{"the position is inside a batch", &script{batches: [][]byte{seal(0, 0, 4, 3, append(append(rec(0), rec(2)...), rec(4)...))}, end: 5}, 2, []int64{2, 4}, 5},
		{"aborted, then committed by the same producer", &script{batches: [][]byte{inTxn(0), one(1), inTxn(2), marker(3, 0), inTxn(4), marker(5, 1)}, end: 6,
			aborted: []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 7, FirstOffset: 0}}}, 0, []int64{1, 4}, 6},
		{"the answer ends in the middle of a batch", &script{batches: [][]byte{one(0), one(1), one(2)}, end: 3, max: 100}, 0, []int64{0, 1, 2}, 3},
	} {
		b := broker(t, embedded.Config{Topics: map[string]int32{"in": 1}})
		tt.log.install(b.Cluster())
		s, _ := testSource(t, b, tt.from, quiet, nil)
		got := offsets(drain(t, s, tt.next))
		if !reflect.DeepEqual(got, tt.offsets) || s.next != tt.next || s.end != tt.log.end {
			t.Errorf("%s: offsets %v, position %d, end %d; want %v, %d, %d", tt.name, got, s.next, s.end, tt.offsets, tt.next, tt.log.end)
		}
	}
}

func TestCorruptBatch(t *testing.T) {
	flip := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	body := append(rec(0), rec(1)...)
	v1 := seal(2, 0, 1, 2, body)
	v1[batchMagicAt] = 1
	long := seal(2, 0, 1, 2, body)
	binary.BigEndian.PutUint32(long[batchLengthAt:], 10<<20)
	for _, tt := range []struct {
		name    string
		bad     []byte
		skipped []int64 // the steps over the bad batch at offsets 2 and 3
		fetches int     // at offset 2, until it is given up; the first try is in the answer for offset 0
	}{
		{"checksum", flip(seal(2, 0, 1, 2, body)), []int64{2}, corruptTries},
		{"a record in it", seal(2, 0, 1, 2, append(rec(0), 9, 9)), []int64{2}, corruptTries},
		{"codec", seal(2, 7, 1, 2, body), []int64{2}, corruptTries},
		{"old format", v1, []int64{2, 3}, corruptTries},   // its header is not read, so it is not known where it ends
		{"length", long, []int64{2, 3}, 7 + corruptTries}, // it looks cut off, so more and more is asked for
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			lines := &logged{}
			b := broker(t, embedded.Config{Topics: map[string]int32{"in": 1}})
			log := &script{batches: [][]byte{seal(0, 0, 1, 2, body), tt.bad, seal(4, 0, 1, 2, body)}, end: 6}
			log.install(b.Cluster())
			s, _ := testSource(t, b, 0, lines.logger(), nil)
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			var got []int64
			for after := 0; after < 2; {
				f, err := s.Next(ctx)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, offsets(f.Records)...)
				if s.paused {
					after++ // it yields nothing more, but goes on answering
				}
			}
			if !reflect.DeepEqual(got, []int64{0, 1}) || s.next != 2 || !s.paused {
				t.Errorf("offsets %v, position %d, paused %v; want what is before the bad batch, and a pause", got, s.next, s.paused)
			}
			if all := lines.all(); len(all) != 1 || !strings.Contains(all[0], "topic=in partition=0 offset=2") {
				t.Errorf("want one line with topic, partition and offset: %v", all)
			}
			fetches := 0
			log.mu.Lock()
			defer log.mu.Unlock()
			for _, o := range log.asked {
				if o == 2 {
					fetches++
				}
			}
			if fetches != tt.fetches {
				t.Errorf("the bad batch was fetched %d times, want %d", fetches, tt.fetches)
			}
		})
		t.Run(tt.name+", skipped", func(t *testing.T) {
			t.Parallel()
			b := broker(t, embedded.Config{Topics: map[string]int32{"in": 1}})
			log := &script{batches: [][]byte{seal(0, 0, 1, 2, body), tt.bad, seal(4, 0, 1, 2, body)}, end: 6}
			log.install(b.Cluster())
			s, m := testSource(t, b, 0, quiet, func(c *Config) { c.OnCorrupt = "skip" })
			got := drain(t, s, 6)
			var faults []int64
			for _, r := range got {
				if r.Fault == nil {
					continue
				}
				faults = append(faults, r.Offset)
				if r.Fault.Reason != event.ReasonCorruptRecord || !strings.Contains(r.Fault.Detail, fmt.Sprint("at offset ", r.Offset)) {
					t.Errorf("fault: %+v", r.Fault)
				}
			}
			if want := slices.Concat([]int64{0, 1}, tt.skipped, []int64{4, 5}); !reflect.DeepEqual(offsets(got), want) || !reflect.DeepEqual(faults, tt.skipped) {
				t.Errorf("offsets %v, faults %v; want %v, %v", offsets(got), faults, want, tt.skipped)
			}
			if n := counter(m.CorruptBatches.WithLabelValues("in", "0")); n != float64(len(tt.skipped)*(1+corruptTries)) {
				t.Errorf("%v corrupt batches counted", n)
			}
		})
	}
}

// A batch that was bad and is good again, because a good replica leads now, ends the trouble.
func TestCorruptBatchHeals(t *testing.T) {
	t.Parallel()
	bad := seal(0, 0, 0, 1, rec(0))
	bad[len(bad)-1] ^= 1
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 1}})
	log := &script{batches: [][]byte{bad}, end: 1}
	log.install(b.Cluster())
	s, _ := testSource(t, b, 0, quiet, nil)
	for s.badTries < 2 {
		if _, err := s.Next(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	log.mu.Lock()
	log.batches[0] = seal(0, 0, 0, 1, rec(0))
	log.mu.Unlock()
	if got := offsets(drain(t, s, 1)); !reflect.DeepEqual(got, []int64{0}) || s.badAt != -1 {
		t.Errorf("%v, bad at %d", got, s.badAt)
	}
}

func TestOutOfRange(t *testing.T) {
	for _, tt := range []struct {
		policy string
		from   int64
		want   int64 // first offset read; -1: an error
		text   string
	}{
		{"earliest", 2, 10, ""}, {"latest", 2, 20, ""}, {"fail", 2, -1, "offset 2 is no longer in the log, which starts at 10"},
		{"earliest", 500, -1, "beyond the log's end, which is 20: the topic was recreated?"},
	} {
		t.Run(fmt.Sprint(tt.policy, tt.from), func(t *testing.T) {
			t.Parallel()
			b := broker(t, embedded.Config{Topics: map[string]int32{"in": 1}})
			f := franz(t, b)
			fill(t, f, "in", 1, 0, 20)
			if err := b.Cluster().DeleteRecords("in", 0, 10); err != nil {
				t.Fatal(err)
			}
			s, m := testSource(t, b, tt.from, quiet, func(c *Config) { c.OutOfRange = tt.policy })
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			produced := false
			for {
				got, err := s.Next(ctx)
				var stop *stopError
				if errors.As(err, &stop) {
					if tt.want != -1 || !strings.Contains(err.Error(), tt.text) {
						t.Errorf("%v", err)
					}
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if tt.policy == "latest" && s.next == 20 && !produced {
					produced = true
					fill(t, f, "in", 1, 20, 1)
				}
				if len(got.Records) > 0 {
					if got.Records[0].Offset != tt.want {
						t.Errorf("reading starts at %d, want %d", got.Records[0].Offset, tt.want)
					}
					break
				}
			}
			policy := tt.policy
			if tt.from > 20 {
				policy = "stop"
			}
			if n := counter(m.OutOfRange.WithLabelValues("in", "0", policy)); n != 1 {
				t.Errorf("counted %v times", n)
			}
		})
	}
}

// A member whose position an operator has to decide about ends, with that sentence.
func TestOutOfRangeStopsTheMember(t *testing.T) {
	t.Parallel()
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 1, "out": 1, "rejects": 1}})
	fill(t, franz(t, b), "in", 1, 0, 20)
	cfg := config(b)
	cfg.OutOfRange = "fail"
	_, stop := member(t, cfg, quiet, nil)
	eventually(t, func() string { return missing(t, b, "in", "out", 1, 20) })
	stop()
	fill(t, franz(t, b), "in", 1, 20, 20)
	if err := b.Cluster().DeleteRecords("in", 0, 30); err != nil {
		t.Fatal(err)
	}
	m := NewMember(cfg, pipeline.New(pipeline.Config{}, testSet(), pipeline.NewMetrics(nil)), quiet)
	m.newRunner = func(tp pipeline.TopicPartition, _ string) runner { return &echo{tp: tp, next: -1} }
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := m.Run(ctx); err == nil || !strings.Contains(err.Error(), "in/0: offset 20 is no longer in the log, which starts at 30") {
		t.Error(err)
	}
}

func TestTransactionsAreFiltered(t *testing.T) {
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 1}})
	want := transactions(t, b, "in")
	if got := values(collect(t, b, "in")[0]); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	s, m := testSource(t, b, 0, quiet, nil)
	drain(t, s, 11)
	if n := counter(m.AbortedRecords.WithLabelValues("in")); n != 3 {
		t.Errorf("%v aborted records were counted", n)
	}
}

// While a transaction is open the end is before it, and what it holds is not seen.
func TestOpenTransaction(t *testing.T) {
	t.Parallel()
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 1}})
	ctx := context.Background()
	fill(t, franz(t, b), "in", 1, 0, 1)
	txn := franz(t, b, kgo.TransactionalID("t"))
	if err := txn.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := txn.ProduceSync(ctx, &kgo.Record{Topic: "in", Value: []byte("open")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	s, _ := testSource(t, b, 0, quiet, nil)
	drain(t, s, 1)
	for range 3 {
		if f, err := s.Next(ctx); err != nil || len(f.Records) != 0 || f.Next != 1 || f.End != 1 {
			t.Fatalf("%+v, %v", f, err)
		}
	}
	if err := txn.EndTransaction(ctx, kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	if got := values(drain(t, s, 3)); !reflect.DeepEqual(got, []string{"open"}) {
		t.Fatal(got)
	}
}

func TestFetchErrorsAreRetried(t *testing.T) {
	t.Parallel()
	b := broker(t, embedded.Config{Brokers: 3, Topics: map[string]int32{"in": 1}})
	f := franz(t, b)
	fill(t, f, "in", 1, 0, 10)
	lines := &logged{}
	s, m := testSource(t, b, 0, lines.logger(), nil)
	h := b.Cluster().Fault(
		kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.NotLeaderForPartition},
		kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.UnknownTopicOrPartition},
		kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.KafkaStorageError})
	drain(t, s, 10)
	if h.Hits() != 3 || counter(m.Retries.WithLabelValues("fetch")) != 3 {
		t.Errorf("%d faults, %v retries", h.Hits(), counter(m.Retries.WithLabelValues("fetch")))
	}
	to := (b.Cluster().LeaderFor("in", 0) + 1) % 3
	if err := b.Cluster().MoveTopicPartition("in", 0, to); err != nil {
		t.Fatal(err)
	}
	fill(t, f, "in", 1, 10, 10)
	drain(t, s, 20)
}

// What franz-go writes, in every codec, arrives as it was.
func TestFetchCodecs(t *testing.T) {
	for codec, c := range map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()} {
		b := broker(t, embedded.Config{Topics: map[string]int32{"in": 1}})
		f := franz(t, b, kgo.ProducerBatchCompression(c))
		fill(t, f, "in", 1, 0, 300)
		s, _ := testSource(t, b, 0, quiet, func(c *Config) { c.FetchBytes = 2000 })
		for i, r := range drain(t, s, 300) {
			if r.Offset != int64(i) || string(r.Value) != fmt.Sprint("0-", i) || string(r.Key) != "k0" || r.Timestamp != fillStart+int64(i) || len(r.Headers) != 1 || string(r.Headers[0].Value) != fmt.Sprint(i) {
				t.Fatalf("%s: record %d is %+v", codec, i, r)
			}
		}
	}
}
