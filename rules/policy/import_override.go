package policy

// RuleChange is what an override that an importer made does to a rule: Keys name what is replaced, in the words
// of the format, by what Rule has.
type RuleChange struct {
	Rule Rule
	Keys []string
}

// overrides writes the overrides that importers made. Those that were loaded are applied already.
func (w *printer) overrides(os []Override) {
	started := false
	for _, o := range os {
		if o.Change == nil {
			continue
		}
		if !started {
			w.section("overrides")
			started = true
		}
		w.dash = true
		w.text(2, "rule", o.Rule.Value)
		for _, key := range o.Change.Keys {
			w.change(key, o.Change.Rule)
		}
	}
}

func (w *printer) change(key string, r Rule) {
	switch key {
	case expressionKey:
		w.expression(2, r.Expression)
	case "description":
		w.text(2, key, r.Description)
	case "priority":
		w.line(2, "priority: %d", r.Priority)
	case "disabled":
		w.line(2, "disabled: %t", r.Disabled)
	case "tags":
		w.tags(r.Tags)
	case "every":
		w.text(2, key, r.Every.Value)
	case "limiter_token":
		w.flow(2, key, texts(values(r.LimiterToken)))
	case "actions":
		w.actions(r.Actions)
	}
}
