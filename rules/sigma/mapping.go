package sigma

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"

	"spoor/rules/policy"
)

//go:embed mapping.yaml
var builtinMapping []byte

// mapping is the field map. Constant once loaded.
type mapping struct {
	fields     map[string]field // by lower-case name, as everywhere here
	categories map[string]category
	services   map[string]service
	eventTypes map[string]string // names as written
}

// field is a field of ours.
type field struct {
	path string
	int  bool
}

// empty is the constant that a field that an event lacks is equal to.
func (f field) empty() string {
	if f.int {
		return "0"
	}
	return `""`
}

type category struct {
	events []string
	fields map[string]field
}

type service struct {
	events map[string][]string // by EventID
	fields map[string]field
}

// scope is what the log source of a rule means.
type scope struct {
	events  []string            // that it can be about, in the order of the map
	ids     map[string][]string // the events of an EventID
	fields  []map[string]field  // the first that knows a name has it
	byID    bool                // nothing but an EventID restricts the events
	service string
	label   string
}

func (s *scope) field(name string) (field, bool) {
	for _, fields := range s.fields {
		if f, ok := fields[strings.ToLower(name)]; ok {
			return f, f.path != ""
		}
	}
	return field{}, false
}

// loadMapping reads the built-in map and what extends it.
func loadMapping(extra *policy.ImportSource) (*mapping, policy.Diagnostics) {
	m := &mapping{fields: map[string]field{}, categories: map[string]category{}, services: map[string]service{}, eventTypes: map[string]string{}}
	r := mappingReader{mapping: m}
	r.source(policy.ImportSource{Name: "mapping.yaml", Data: builtinMapping})
	if extra != nil {
		r.source(*extra)
	}
	return m, r.diags.Sort()
}

// mappingReader reads files of the form of mapping.yaml into a mapping.
type mappingReader struct {
	mapping *mapping
	diags   policy.Diagnostics
}

func (r *mappingReader) fault(at policy.Span, code, message, hint string) {
	r.diags = append(r.diags, policy.Diagnostic{Span: at, Level: policy.Error, Code: code, Message: message, Hint: hint})
}

// entries are those of a mapping node; anything else is a fault.
func (r *mappingReader) entries(n *policy.ImportNode, what string) []policy.ImportEntry {
	if n.Kind == policy.ImportMap {
		return n.Entries
	}
	r.fault(n.Span, policy.CodeWrongType, what+" is a mapping", "")
	return nil
}

func (r *mappingReader) unknown(key *policy.ImportNode, known ...string) {
	hint := ""
	if s := policy.Suggest(key.Text, known); s != "" {
		hint = "did you mean " + s + "?"
	}
	r.fault(key.Span, policy.CodeUnknownKey, "unknown key "+quoted(key.Text), hint)
}

func (r *mappingReader) source(src policy.ImportSource) {
	for _, d := range policy.ReadImportDocuments(src) {
		if d.Root == nil {
			r.diags = append(r.diags, d.Faults...)
			continue
		}
		for _, e := range r.entries(d.Root, "a field map") {
			switch e.Key.Text {
			case "fields":
				r.fields(e.Value, r.mapping.fields)
			case "categories":
				for _, c := range r.entries(e.Value, "categories") {
					r.category(strings.ToLower(c.Key.Text), c.Value)
				}
			case "services":
				for _, s := range r.entries(e.Value, "services") {
					r.service(strings.ToLower(s.Key.Text), s.Value)
				}
			case "event_types":
				for _, t := range r.entries(e.Value, "event_types") {
					if name := r.text(t.Value, "an event name"); name != "" {
						r.mapping.eventTypes[t.Key.Text] = name
					}
				}
			default:
				r.unknown(e.Key, "fields", "categories", "services", "event_types")
			}
		}
	}
}

func (r *mappingReader) text(n *policy.ImportNode, what string) string {
	if t := textOf(n); t != "" {
		return t
	}
	r.fault(n.Span, policy.CodeWrongType, what+" is a text", "")
	return ""
}

func (r *mappingReader) fields(n *policy.ImportNode, into map[string]field) {
	for _, e := range r.entries(n, "fields") {
		var f field
		switch e.Value.Kind {
		case policy.ImportMap:
			for _, k := range e.Value.Entries {
				switch k.Key.Text {
				case "field":
					f.path = r.text(k.Value, "a field")
				case "type":
					switch t := r.text(k.Value, "a type"); t {
					case "int":
						f.int = true
					case "text", "":
					default:
						r.fault(k.Value.Span, policy.CodeBadValue, "the type of a field is text or int", "")
					}
				default:
					r.unknown(k.Key, "field", "type")
				}
			}
		default:
			f.path = r.text(e.Value, "a field")
		}
		if f.path == "" {
			continue
		}
		if strings.ContainsFunc(f.path, func(c rune) bool {
			return !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == '[' || c == ']')
		}) {
			r.fault(e.Value.Span, policy.CodeBadField, quoted(f.path)+" is no field", "write for instance process.executable.path")
			continue
		}
		into[strings.ToLower(e.Key.Text)] = f
	}
}

// texts are the members of a list of names, or the one name.
func (r *mappingReader) texts(n *policy.ImportNode, what string) []string {
	out := textsOf(n)
	if len(out) == 0 {
		r.fault(n.Span, policy.CodeWrongType, what+" are a list of texts", "")
	}
	return out
}

func (r *mappingReader) category(name string, n *policy.ImportNode) {
	c := r.mapping.categories[name]
	if c.fields == nil {
		c.fields = map[string]field{}
	}
	for _, e := range r.entries(n, "a category") {
		switch e.Key.Text {
		case "events":
			c.events = r.texts(e.Value, "events")
		case "fields":
			r.fields(e.Value, c.fields)
		default:
			r.unknown(e.Key, "events", "fields")
		}
	}
	if len(c.events) == 0 {
		r.fault(n.Span, policy.CodeMissingKey, "the category "+quoted(name)+" has no events", "")
	}
	r.mapping.categories[name] = c
}

func (r *mappingReader) service(name string, n *policy.ImportNode) {
	s := r.mapping.services[name]
	if s.fields == nil {
		s = service{map[string][]string{}, map[string]field{}}
	}
	for _, e := range r.entries(n, "a service") {
		switch e.Key.Text {
		case "events":
			for _, id := range r.entries(e.Value, "events") {
				if _, err := strconv.Atoi(id.Key.Text); err != nil {
					r.fault(id.Key.Span, policy.CodeBadInteger, "an EventID is a number", "")
					continue
				}
				s.events[id.Key.Text] = r.texts(id.Value, "events")
			}
		case "fields":
			r.fields(e.Value, s.fields)
		default:
			r.unknown(e.Key, "events", "fields")
		}
	}
	r.mapping.services[name] = s
}

// scope resolves a log source.
func (m *mapping) scope(l logsource, at policy.Span) (*scope, *refusal) {
	if l.node != nil {
		at = l.node.Span
	}
	place := func(key string) policy.Span {
		if n := l.node.Get(key); n != nil {
			return n.Span
		}
		return at
	}
	if l.category == "" && l.service == "" {
		return nil, refuse(at, "the log source names neither a category nor a service")
	}
	if l.product != "" && !strings.EqualFold(l.product, "windows") {
		return nil, refuse(place("product"), "the product %s is not windows", l.product)
	}
	s := &scope{label: "category " + l.category}
	serviceName := strings.ToLower(l.service)
	svc, known := m.services[serviceName]
	if l.service != "" && !known {
		return nil, refuse(place("service"), "events of the service %s are not in the schema", l.service)
	}
	s.service = serviceName
	if l.category != "" {
		c, ok := m.categories[strings.ToLower(l.category)]
		if !ok {
			return nil, refuse(place("category"), "events of the category %s are not in the schema", l.category)
		}
		s.events, s.fields = c.events, append(s.fields, c.fields)
	} else {
		s.label, s.byID = "service "+l.service, true
		for _, id := range sortedIDs(svc.events) {
			for _, e := range svc.events[id] {
				if !slices.Contains(s.events, e) {
					s.events = append(s.events, e)
				}
			}
		}
	}
	s.ids = map[string][]string{}
	for name, other := range m.services {
		if l.service == "" || name == serviceName {
			for id, events := range other.events {
				s.ids[id] = events
			}
		}
	}
	if known {
		s.fields = append(s.fields, svc.fields)
	}
	s.fields = append(s.fields, m.fields)
	return s, nil
}

func sortedIDs(events map[string][]string) []string {
	ids := make([]string, 0, len(events))
	for id := range events {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int {
		x, _ := strconv.Atoi(a)
		y, _ := strconv.Atoi(b)
		return x - y
	})
	return ids
}

// loadPlaceholders reads the values of placeholders.
func loadPlaceholders(src *policy.ImportSource) (map[string][]string, policy.Diagnostics) {
	if src == nil {
		return nil, nil
	}
	out := map[string][]string{}
	r := mappingReader{}
	for _, d := range policy.ReadImportDocuments(*src) {
		if d.Root == nil {
			r.diags = append(r.diags, d.Faults...)
			continue
		}
		for _, e := range r.entries(d.Root, "a file of placeholders") {
			if values := r.texts(e.Value, "the values of "+quoted(e.Key.Text)); values != nil {
				out[strings.Trim(e.Key.Text, "%")] = values
			}
		}
	}
	return out, r.diags.Sort()
}
