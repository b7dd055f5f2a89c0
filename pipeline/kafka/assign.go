package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/segmentio/kafka-go"
)

// start is where a partition starts.
type start struct {
	next int64
	// committed says that the group has this position already.
	committed bool
}

// starts finds where the partitions given start, of count that the input topic has: at the committed offset;
// without one, where Config.Start says; but at the log's start if the partition appeared after the group's
// beginning, because what is in it came while the group was at work. The second result is the metadata that
// every commit of the generation carries.
//
// Which partitions were there at the beginning matters for latest only, and is in the offsets' metadata then:
// "some partition has a committed offset" would not do, as members of the first generation commit one after
// the other.
func (c *client) starts(ctx context.Context, partitions []int32, count int) (map[int32]start, string, error) {
	cfg := &c.cfg
	rows, err := c.committed(ctx, count)
	if err != nil {
		return nil, "", err
	}
	original := 0
	for _, r := range rows {
		original = max(original, r.original)
	}
	if original == 0 && (len(rows) == 0 || cfg.Start == "earliest") {
		original = count
	}
	metadata := offsetMetadata
	if cfg.Start == "latest" {
		metadata += originalKey + strconv.Itoa(original)
	}

	out := make(map[int32]start, len(partitions))
	var fresh []int32
	for _, p := range partitions {
		if r, ok := rows[p]; ok {
			out[p] = start{r.offset, true}
		} else {
			fresh = append(fresh, p)
		}
	}
	all, err := c.bounds(ctx, cfg.Input, fresh)
	if err != nil {
		return nil, "", fmt.Errorf("list offsets: %w", err)
	}
	for _, p := range fresh {
		next := all[p].first
		if cfg.Start == "latest" && int(p) < original {
			next = all[p].end
		}
		out[p] = start{next, false}
	}
	return out, metadata, nil
}

// originalKey precedes, in the metadata of offsets, the number of partitions the group began with.
const originalKey = " partitions="

type committedRow struct {
	offset   int64
	original int
	metadata string
}

// committed reads the group's offsets of all partitions of the input topic. Partitions without one are
// missing: a broker may say -1, leave the row out, or say that it has no such group.
func (c *client) committed(ctx context.Context, count int) (map[int32]committedRow, error) {
	ids := make([]int, count)
	for i := range ids {
		ids[i] = i
	}
	res, err := c.client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: c.cfg.Group, Topics: map[string][]int{c.cfg.Input: ids}})
	if err != nil {
		return nil, fmt.Errorf("fetch offsets: %w", err)
	}
	rows := map[int32]committedRow{}
	if errors.Is(res.Error, kafka.GroupIdNotFound) {
		return rows, nil
	}
	if res.Error != nil {
		return nil, fmt.Errorf("fetch offsets: %w", res.Error)
	}
	for _, p := range res.Topics[c.cfg.Input] {
		if p.Error != nil {
			return nil, fmt.Errorf("fetch offset of partition %d: %w", p.Partition, p.Error)
		}
		if p.CommittedOffset >= 0 {
			row := committedRow{offset: p.CommittedOffset, metadata: p.Metadata}
			if _, rest, ok := strings.Cut(p.Metadata, originalKey); ok && strings.HasPrefix(p.Metadata, offsetMetadata) {
				row.original, _ = strconv.Atoi(rest) // a number we do not understand is none
			}
			rows[int32(p.Partition)] = row
		}
	}
	return rows, nil
}
