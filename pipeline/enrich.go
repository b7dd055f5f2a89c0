package pipeline

import (
	"spoor/enrich"
	"spoor/pipeline/state"
)

// enrich gives the event its lineage.
func (p *Partition) enrich() {
	if p.lineage != nil {
		p.lineage.Enrich(&p.ev)
		return
	}
	// Without lineage the event is evaluated as it came.
	if !p.ev.Meta.HasHost {
		p.state.NoHost()
	}
}

// forget gives the partition an empty state. What the old one counted stays counted.
func (p *Partition) forget() {
	cfg := &p.engine.cfg
	if p.state != nil {
		p.lost = p.stateStats()
	}
	p.state = state.New(cfg.State)
	p.lineage = nil
	if cfg.Lineage {
		p.lineage = enrich.NewLineage(cfg.Enrich, p.state)
	}
}
