package kafka

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"spoor/pipeline/embedded"
)

// Requests find the coordinator of what they are for among several brokers, and a heartbeat hears what it says.
func TestCoordinators(t *testing.T) {
	b := broker(t, embedded.Config{Brokers: 3, Topics: map[string]int32{"in": 1, "out": 1, "rejects": 1}})
	c, err := connect(config(b))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	ctx := context.Background()
	for i := range 12 {
		c.cfg.Group = fmt.Sprint("group", i)
		if err := c.heartbeat(ctx, 1, "nobody"); !isAny(err, kafka.UnknownMemberId, kafka.GroupIdNotFound) {
			t.Errorf("a heartbeat of a stranger to %s: %v", c.cfg.Group, err)
		}
		res, err := c.client.InitProducerID(ctx, &kafka.InitProducerIDRequest{TransactionalID: fmt.Sprint("txn", i), TransactionTimeoutMs: 1000, ProducerID: -1, ProducerEpoch: -1})
		if err != nil || res.Error != nil {
			t.Errorf("init of txn%d: %v, %v", i, res, err)
		}
	}
	brokers := map[int32]bool{}
	known := c.client.Transport.(*router).known
	for _, k := range known {
		brokers[k.broker] = true
	}
	if len(known) != 24 || len(brokers) != 3 {
		t.Errorf("the coordinators remembered are %v", known)
	}
}

// A coordinator that is not there any more is forgotten at once, one that moved within a second.
func TestCoordinatorMoves(t *testing.T) {
	b := broker(t, embedded.Config{Brokers: 3, Topics: map[string]int32{"in": 1, "out": 1, "rejects": 1}})
	c, err := connect(config(b))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	ctx := context.Background()
	ask := func() error {
		res, err := c.client.InitProducerID(ctx, &kafka.InitProducerIDRequest{TransactionalID: "txn", TransactionTimeoutMs: 1000, ProducerID: -1, ProducerEpoch: -1})
		if err != nil {
			return err
		}
		return res.Error
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	all := c.client.Transport.(*router)
	txn := coordinatedBy{kafka.CoordinatorKeyTypeTransaction, "txn"}
	right := all.known[txn]

	all.known[txn] = coordinator{99, right.until}
	if err := ask(); !errors.Is(err, kafka.BrokerNotAvailable) {
		t.Errorf("of a broker that does not exist: %v", err)
	}
	if err := ask(); err != nil {
		t.Errorf("once it is forgotten: %v", err)
	}

	all.known[txn] = coordinator{(right.broker + 1) % 3, time.Now().Add(coordinatorTTL)}
	tries := 0
	err = retry(ctx, never, func(err error) {
		if tries++; !isAny(err, kafka.NotCoordinatorForGroup) {
			t.Errorf("of the wrong broker: %v", err)
		}
	}, ask)
	if err != nil || tries == 0 || all.known[txn].broker != right.broker {
		t.Errorf("after %d tries: %v of broker %d, not %d", tries, err, all.known[txn].broker, right.broker)
	}
}
