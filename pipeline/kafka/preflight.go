package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/segmentio/kafka-go"
)

// defaultMaxMessageBytes is max.message.bytes where nobody set it.
const defaultMaxMessageBytes = 1048588

// signalOverhead is what a signal of maximum size needs beyond its bytes: key, headers, batch header and the
// margin that publishing leaves for compression that does not compress.
const signalOverhead = 16 << 10

// facts are what the preflight learns of a cluster.
type facts struct {
	cluster  string
	warnings []string
}

// Preflight says what is wrong with a cluster for this config, a sentence for each problem that says what to
// do. It creates missing topics when the config asks for it. MaxSignalBytes is the longest signal that will be
// published.
func Preflight(ctx context.Context, cfg Config, maxSignalBytes int) error {
	if errs := cfg.Validate(); len(errs) > 0 {
		return errors.Join(errs...)
	}
	c, err := connect(cfg)
	if err != nil {
		return err
	}
	defer c.close()
	_, err = c.preflight(ctx, maxSignalBytes)
	return err
}

func (c *client) preflight(ctx context.Context, maxSignalBytes int) (facts, error) {
	meta, err := c.reach(ctx)
	if err != nil {
		return facts{}, err
	}
	f := facts{cluster: meta.ClusterID}
	missing := slices.DeleteFunc(c.missing(meta), func(t string) bool { return t == c.cfg.changelogTopic() })
	if len(missing) > 0 && c.cfg.CreateTopics.Partitions > 0 {
		if err := c.create(ctx, missing); err != nil {
			return f, err
		}
		if meta, err = c.created(ctx, missing...); err != nil {
			return f, err
		}
	}
	if c.cfg.Changelog {
		if meta, err = c.prepareChangelog(ctx, meta); err != nil {
			return f, err
		}
	}
	if errs := c.checkTopics(meta); len(errs) > 0 {
		return f, errors.Join(errs...)
	}
	var errs []error
	if c.cfg.Changelog {
		if f.warnings, err = c.checkChangelog(ctx); err != nil {
			errs = append(errs, err)
		}
		if err := c.checkTransactions(ctx); err != nil {
			errs = append(errs, err)
		}
	}
	if err := c.checkRights(ctx); err != nil {
		errs = append(errs, err)
	}
	if c.cfg.Group != "" {
		if err := c.checkGroup(ctx); err != nil {
			errs = append(errs, err)
		}
	}
	warnings, bad := c.checkSettings(ctx, meta, maxSignalBytes)
	f.warnings = append(f.warnings, warnings...)
	return f, errors.Join(append(errs, bad...)...)
}

// prepareChangelog creates the changelog's topic when it is missing and the input is there. Too few partitions are for
// each generation to see to.
func (c *client) prepareChangelog(ctx context.Context, meta *kafka.MetadataResponse) (*kafka.MetadataResponse, error) {
	inputs := 0
	for _, t := range meta.Topics {
		if t.Name == c.cfg.Input && t.Error == nil {
			inputs = len(t.Partitions)
		}
	}
	if inputs == 0 || !slices.Contains(c.missing(meta), c.cfg.changelogTopic()) {
		return meta, nil
	}
	if _, err := c.ensureChangelog(ctx, inputs); err != nil {
		return nil, err
	}
	return c.created(ctx, c.cfg.changelogTopic())
}

// created is the metadata once it has topics that were created.
func (c *client) created(ctx context.Context, topics ...string) (meta *kafka.MetadataResponse, err error) {
	err = settled(ctx, func() error {
		c.refresh(ctx)
		if meta, err = c.client.Metadata(ctx, &kafka.MetadataRequest{Topics: c.cfg.topics()}); err != nil {
			return fmt.Errorf("read the cluster's metadata: %w", err)
		}
		for _, t := range c.missing(meta) {
			if slices.Contains(topics, t) {
				return fmt.Errorf("topic %q was created: %w", t, kafka.UnknownTopicOrPartition)
			}
		}
		return nil
	})
	return meta, err
}

// settled calls f until it fails no longer for a topic that a broker does not know yet, or does not know that it leads:
// each learns of that some time after the controller decided it, and f may ask another broker than the one that knew.
func settled(ctx context.Context, f func() error) error {
	var last error
	within, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	retry(within, func(err error) bool {
		return !isAny(err, kafka.UnknownTopicOrPartition, kafka.LeaderNotAvailable, kafka.NotLeaderForPartition, kafka.OffsetNotAvailable)
	}, func(error) {}, func() error {
		last = f()
		return last
	})
	return last
}

// describe reads settings of topics that are there. Errors of one topic are in its resource.
func (c *client) describe(ctx context.Context, req *kafka.DescribeConfigsRequest) (res *kafka.DescribeConfigsResponse, err error) {
	err = settled(ctx, func() error {
		if res, err = c.client.DescribeConfigs(ctx, req); err != nil {
			return err
		}
		for _, r := range res.Resources {
			if isAny(r.Error, kafka.UnknownTopicOrPartition) {
				return fmt.Errorf("topic %q: %w", r.ResourceName, r.Error)
			}
		}
		return nil
	})
	return res, err
}

// missing lists the configured topics that the cluster does not have.
func (c *client) missing(meta *kafka.MetadataResponse) []string {
	var out []string
	for _, t := range meta.Topics {
		if errors.Is(t.Error, kafka.UnknownTopicOrPartition) {
			out = append(out, t.Name)
		}
	}
	return out
}

func (c *client) create(ctx context.Context, topics []string) error {
	req := &kafka.CreateTopicsRequest{}
	for _, t := range topics {
		req.Topics = append(req.Topics, kafka.TopicConfig{Topic: t, NumPartitions: c.cfg.CreateTopics.Partitions, ReplicationFactor: c.cfg.CreateTopics.Replication})
	}
	res, err := c.client.CreateTopics(ctx, req)
	if err != nil {
		return fmt.Errorf("create topics %s: %w", strings.Join(topics, ", "), err)
	}
	var errs []error
	for _, t := range topics {
		switch err := res.Errors[t]; {
		case err == nil, errors.Is(err, kafka.TopicAlreadyExists): // another member was faster
		case isAny(err, kafka.TopicAuthorizationFailed, kafka.ClusterAuthorizationFailed):
			errs = append(errs, fmt.Errorf("%s may not create topic %q: grant CREATE, or create it yourself (%w)", c.who(), t, err))
		case isAny(err, kafka.InvalidReplicationFactor):
			errs = append(errs, fmt.Errorf("topic %q cannot have %d replicas: set create_topics.replication to at most the number of brokers (%w)", t, c.cfg.CreateTopics.Replication, err))
		default:
			errs = append(errs, fmt.Errorf("create topic %q: %w", t, err))
		}
	}
	return errors.Join(errs...)
}

func (c *client) who() string {
	if c.cfg.SASL.Username != "" {
		return fmt.Sprintf("user %q", c.cfg.SASL.Username)
	}
	return "this client"
}

func (c *client) checkTopics(meta *kafka.MetadataResponse) []error {
	var errs []error
	for _, t := range meta.Topics {
		switch {
		case errors.Is(t.Error, kafka.UnknownTopicOrPartition):
			errs = append(errs, fmt.Errorf("topic %q does not exist: create it, or set create_topics.partitions to have it created", t.Name))
		case errors.Is(t.Error, kafka.TopicAuthorizationFailed):
			errs = append(errs, fmt.Errorf("%s may not see topic %q: grant DESCRIBE and %s on it (%w)", c.who(), t.Name, c.need(t.Name), t.Error))
		case t.Error != nil && !isAny(t.Error, kafka.LeaderNotAvailable):
			errs = append(errs, fmt.Errorf("topic %q: %w", t.Name, t.Error))
		}
	}
	return errs
}

// need is the right that a topic is used by.
func (c *client) need(topic string) string {
	switch topic {
	case c.cfg.Input:
		return "READ"
	case c.cfg.changelogTopic():
		return "READ and WRITE"
	}
	return "WRITE"
}

// checkRights asks the broker for our rights on each topic; a broker that does not say is no problem.
func (c *client) checkRights(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	m, err := c.transport.RoundTrip(ctx, c.client.Addr, &authorizedRequest{clientID: c.cfg.ClientID, topics: c.cfg.topics()})
	if err != nil {
		if errors.Is(err, errNotTold) {
			return nil
		}
		return fmt.Errorf("ask for the rights on topics: %w", err)
	}
	var errs []error
	for _, t := range c.cfg.topics() {
		operations, told := m.(*authorizedResponse).operations[t]
		need := int32(mayWrite)
		switch t {
		case c.cfg.Input:
			need = mayRead
		case c.cfg.changelogTopic():
			need = mayRead | mayWrite
		}
		if told && operations&need != need {
			errs = append(errs, fmt.Errorf("%s may not use topic %q: grant %s on it", c.who(), t, c.need(t)))
		}
	}
	return errors.Join(errs...)
}

func (c *client) checkGroup(ctx context.Context) error {
	_, err := c.committed(ctx, 1)
	if isAny(err, kafka.GroupAuthorizationFailed) {
		return fmt.Errorf("%s may not use the consumer group %q: grant READ on it (%w)", c.who(), c.cfg.Group, err)
	}
	if isAny(err, kafka.GroupLoadInProgress, kafka.GroupCoordinatorNotAvailable, kafka.NotCoordinatorForGroup, kafka.BrokerNotAvailable) {
		return nil // a coordinator that starts; joining waits for it
	}
	if err != nil {
		return fmt.Errorf("consumer group %q: %w", c.cfg.Group, err)
	}
	return nil
}

// checkSettings compares the settings of the topics published to with what will be published.
func (c *client) checkSettings(ctx context.Context, meta *kafka.MetadataResponse, maxSignalBytes int) (warnings []string, errs []error) {
	replicas := map[string]int{}
	for _, t := range meta.Topics {
		for _, p := range t.Partitions {
			replicas[t.Name] = max(replicas[t.Name], len(p.Replicas))
		}
	}
	settings, err := c.settings(ctx)
	if err != nil {
		return nil, []error{fmt.Errorf("read the topics' settings: %w", err)}
	}
	for _, name := range c.cfg.topics() {
		if name == c.cfg.Input {
			continue
		}
		s := settings[name]
		if n := replicas[name]; n > 0 && s.minInSync > n {
			errs = append(errs, fmt.Errorf("topic %q has %d replicas and wants %d in sync, so nothing can be published: lower its min.insync.replicas", name, n, s.minInSync))
		} else if w := atRisk(name, len(meta.Brokers), n, s.minInSync); w != "" {
			warnings = append(warnings, w)
		}
		if name == c.cfg.changelogTopic() {
			continue // see checkChangelog
		}
		if need := maxSignalBytes + signalOverhead; s.maxMessageBytes < need {
			errs = append(errs, fmt.Errorf("topic %q takes messages of at most %d bytes, a signal has up to %d: raise its max.message.bytes to %d, or lower the maximum size of signals",
				name, s.maxMessageBytes, maxSignalBytes, need))
		}
		if s.compact {
			errs = append(errs, fmt.Errorf("topic %q is compacted, which would keep one record of each host: set its cleanup.policy to delete", name))
		}
	}
	return warnings, errs
}

// atRisk says what of a topic is lost with one broker, where there are enough of them to lose nothing; "" for nothing. A
// minInSync of 0 is not known.
func atRisk(topic string, brokers, replicas, minInSync int) string {
	switch {
	case brokers < 3 || replicas == 0:
	case replicas < 3:
		return fmt.Sprintf("topic %q has %d replicas on %d brokers: what is in it is lost with that many disks; 3 replicas with min.insync.replicas=2 lose nothing with one", topic, replicas, brokers)
	case minInSync == 1:
		return fmt.Sprintf("topic %q has min.insync.replicas=1: what one broker alone has acknowledged can be lost with it; set it to 2", topic)
	}
	return ""
}

// topicSettings are the settings of a topic that matter to us.
type topicSettings struct {
	maxMessageBytes int
	minInSync       int
	compact         bool
}

// settings reads the settings of the topics published to. What a broker does not let us see is taken to be
// the default.
func (c *client) settings(ctx context.Context) (map[string]topicSettings, error) {
	out := map[string]topicSettings{}
	req := &kafka.DescribeConfigsRequest{}
	for _, t := range c.cfg.topics() {
		if t == c.cfg.Input {
			continue
		}
		out[t] = topicSettings{maxMessageBytes: defaultMaxMessageBytes}
		req.Resources = append(req.Resources, kafka.DescribeConfigRequestResource{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: t,
			ConfigNames: []string{"max.message.bytes", "cleanup.policy", "min.insync.replicas"},
		})
	}
	if len(req.Resources) == 0 {
		return out, nil
	}
	res, err := c.describe(ctx, req)
	if err != nil {
		return nil, err
	}
	for _, r := range res.Resources {
		s := out[r.ResourceName]
		if r.Error != nil {
			if isAny(r.Error, kafka.TopicAuthorizationFailed) {
				continue
			}
			return nil, fmt.Errorf("topic %q: %w", r.ResourceName, r.Error)
		}
		for _, e := range r.ConfigEntries {
			switch e.ConfigName {
			case "max.message.bytes":
				if n, err := strconv.Atoi(e.ConfigValue); err == nil {
					s.maxMessageBytes = n
				}
			case "min.insync.replicas":
				s.minInSync, _ = strconv.Atoi(e.ConfigValue)
			case "cleanup.policy":
				s.compact = slices.Contains(strings.Split(e.ConfigValue, ","), "compact")
			}
		}
		out[r.ResourceName] = s
	}
	return out, nil
}

// outTopics is what publishers need to know of the topics they publish to.
func (c *client) outTopics(ctx context.Context) ([]outTopic, error) {
	settings, err := c.settings(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the topics' settings: %w", err)
	}
	var out []outTopic
	for _, t := range []struct{ kind, name string }{{"signal", c.cfg.Output}, {"shadow", c.cfg.Shadow}, {"reject", c.cfg.Reject}, {"state", c.cfg.changelogTopic()}} {
		if t.name == "" {
			continue
		}
		n, err := c.partitions(ctx, t.name)
		if err == nil && n == 0 {
			err = kafka.LeaderNotAvailable
		}
		if err != nil {
			return nil, fmt.Errorf("topic %q: %w", t.name, err)
		}
		out = append(out, outTopic{name: t.name, kind: t.kind, partitions: n, maxBytes: settings[t.name].maxMessageBytes})
	}
	return out, nil
}
