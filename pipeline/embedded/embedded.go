// Package embedded is the broker inside the process, for the demo and for tests: a Kafka broker written as
// a fake (kfake), in memory, on loopback. It is the only door to kfake and franz-go outside of tests. It is
// no Kafka: one goroutine serves everything, nothing is durable, and timing or fencing seen here says little
// about a real broker. It imports pipeline and nothing else of ours.
package embedded

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sort"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Config says what the broker looks like. The zero value is one broker without topics, TLS or SASL.
type Config struct {
	// Brokers is how many brokers the cluster has. Default 1.
	Brokers int
	// Topics are created before Start returns: name to number of partitions.
	Topics map[string]int32
	// Port is the first broker's port, the next brokers take the next ones; 0 is any free port.
	Port int
	// MinSessionTimeout is the shortest group session allowed. Default 6 s, as brokers have it; tests want less.
	MinSessionTimeout time.Duration
	// TLS, when set, is what the brokers listen with.
	TLS *tls.Config
	// SASL, when set, is required of every client.
	SASL *User
	// ACLs switches authorization on: nobody but the SASL user may do anything, except what Users says.
	ACLs bool
	// Users are further SASL users, with no rights when ACLs is set but those in Allow.
	Users []User
	// BrokerConfigs are broker settings by name, for example "message.max.bytes".
	BrokerConfigs map[string]string
}

// User is a SASL user.
type User struct {
	Mechanism string // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
	Name      string
	Password  string
	Allow     []Allow
}

// Allow is one right of a user: operations on one topic, one group, or the transactional ids with a prefix.
type Allow struct {
	Topic, Group, Transactions string
	Operations                 []kmsg.ACLOperation
}

// Broker is a running broker. It is safe for concurrent use.
type Broker struct {
	cluster *kfake.Cluster
	stop    func() bool
}

// Start starts a broker on loopback. It ends with ctx or Close, whichever comes first.
func Start(ctx context.Context, cfg Config) (*Broker, error) {
	n := max(cfg.Brokers, 1)
	opts := []kfake.Opt{
		kfake.NumBrokers(n),
		// Data is in memory whatever happens; a listener elsewhere than loopback would be an open door.
		kfake.ListenFn(loopback),
	}
	if cfg.Port != 0 {
		ports := make([]int, n)
		for i := range ports {
			ports[i] = cfg.Port + i
		}
		opts = append(opts, kfake.Ports(ports...))
	}
	if cfg.MinSessionTimeout > 0 {
		opts = append(opts, kfake.GroupMinSessionTimeout(cfg.MinSessionTimeout))
	}
	if cfg.TLS != nil {
		opts = append(opts, kfake.TLS(cfg.TLS))
	}
	if cfg.SASL != nil {
		opts = append(opts, kfake.EnableSASL(), kfake.Superuser(cfg.SASL.Mechanism, cfg.SASL.Name, cfg.SASL.Password))
	}
	if cfg.ACLs {
		opts = append(opts, kfake.EnableACLs())
	}
	for _, u := range cfg.Users {
		opts = append(opts, kfake.User(u.Mechanism, u.Name, u.Password, u.acls()...))
	}
	if len(cfg.BrokerConfigs) > 0 {
		opts = append(opts, kfake.BrokerConfigs(cfg.BrokerConfigs))
	}
	for _, t := range sortedTopics(cfg.Topics) {
		opts = append(opts, kfake.SeedTopics(cfg.Topics[t], t))
	}
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		return nil, fmt.Errorf("start the embedded broker: %w", err)
	}
	b := &Broker{cluster: c}
	b.stop = context.AfterFunc(ctx, c.Close)
	return b, nil
}

// Addr is the address of the first broker, host:port.
func (b *Broker) Addr() string { return b.cluster.ListenAddrs()[0] }

// Addrs are the addresses of all brokers.
func (b *Broker) Addrs() []string { return b.cluster.ListenAddrs() }

// CreateTopic creates a topic; configs may be nil.
func (b *Broker) CreateTopic(name string, partitions int32, configs map[string]string) error {
	return b.cluster.CreateTopic(name, partitions, configs)
}

// Cluster is the fake itself, for tests that inject faults, move leaders or delete records.
func (b *Broker) Cluster() *kfake.Cluster { return b.cluster }

// Close stops the broker; everything in it is gone.
func (b *Broker) Close() {
	if b.stop() {
		b.cluster.Close()
	}
}

func loopback(network, address string) (net.Listener, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if network != "tcp" && network != "tcp4" {
		return nil, errors.New("the embedded broker listens on tcp only")
	}
	return net.Listen("tcp4", net.JoinHostPort("127.0.0.1", port))
}

func (u User) acls() []kfake.ACL {
	var out []kfake.ACL
	for _, a := range u.Allow {
		for _, op := range a.Operations {
			acl := kfake.ACL{Allow: true, Operation: op, Pattern: kmsg.ACLResourcePatternTypeLiteral}
			switch {
			case a.Topic != "":
				acl.Resource, acl.Name = kmsg.ACLResourceTypeTopic, a.Topic
			case a.Transactions != "":
				acl.Resource, acl.Name, acl.Pattern = kmsg.ACLResourceTypeTransactionalId, a.Transactions, kmsg.ACLResourcePatternTypePrefixed
			default:
				acl.Resource, acl.Name = kmsg.ACLResourceTypeGroup, a.Group
			}
			out = append(out, acl)
		}
	}
	return out
}

func sortedTopics(m map[string]int32) []string {
	out := make([]string, 0, len(m))
	for t := range m {
		out = append(out, t)
	}
	sort.Strings(out)
	return out
}
