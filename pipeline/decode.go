package pipeline

import (
	"errors"

	"spoor/pipeline/event"
	"spoor/pipeline/state"
)

// decode reads the record into p.ev. What the event then points to is owned by p.ev or aliases the record's
// buffer; whoever keeps it beyond the record clones it.
func (p *Partition) decode(r *Record) *event.Error {
	if r.Fault != nil {
		return r.Fault
	}
	err := p.dec.Decode(r.Value, &p.ev)
	p.counts.UnknownFields += int64(p.dec.Unknown())
	if err == nil {
		host := p.host(r)
		p.ev.Meta.Host, p.ev.Meta.HasHost = host, host != ""
		return nil
	}
	var fault *event.Error
	if !errors.As(err, &fault) {
		fault = &event.Error{Reason: event.ReasonInvalidJSON, Detail: err.Error()}
	}
	return fault
}

// host is the host that the record names, "" when it names none: an empty key or header names none, nor does one longer
// than any host's. The text is a copy, because the state keeps it; a host seen before costs no allocation.
func (p *Partition) host(r *Record) string {
	name := r.Key
	if h := p.engine.cfg.HostHeader; h != "" {
		name = nil
		for i := range r.Headers {
			if r.Headers[i].Key == h {
				name = r.Headers[i].Value
				break
			}
		}
	}
	if len(name) == 0 || len(name) > state.MaxHost {
		return ""
	}
	if s, ok := p.hosts[string(name)]; ok {
		return s
	}
	s := string(name)
	if len(s) <= maxInternedHost {
		if len(p.hosts) >= maxInternedHosts {
			clear(p.hosts)
		}
		p.hosts[s] = s
	}
	return s
}

// The interned hosts of a partition take at most 1 MiB; a host with a longer name than any real one is
// copied each time.
const (
	maxInternedHosts = 4096
	maxInternedHost  = 256
)
