package event

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
)

// Whatever a record says is in the event, also when it says nothing else: no object counts as empty that is not.
func TestEveryMemberAlone(t *testing.T) {
	generic := func(text []byte) (v any) {
		t.Helper()
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	encoded := func(d *Decoder, text []byte) any {
		t.Helper()
		var e Event
		if err := d.Decode(text, &e); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		out, err := json.Marshal(&e)
		if err != nil {
			t.Fatal(err)
		}
		return generic(out)
	}
	d := NewDecoder(DecoderConfig{})
	whole := encoded(d, []byte(everything))
	members := 0
	// Alone is a member with everything around it that leads there; at finds it again.
	var each func(v any, path string, alone func(any) any, at func(any) any)
	each = func(v any, path string, alone, at func(any) any) {
		switch v := v.(type) {
		case map[string]any:
			for name, sub := range v {
				each(sub, path+"."+name, func(x any) any { return alone(map[string]any{name: x}) }, func(x any) any {
					object, _ := at(x).(map[string]any)
					return object[name]
				})
			}
			return
		case []any:
			if _, objects := v[0].(map[string]any); objects {
				for _, sub := range v {
					each(sub, path+"[]", func(x any) any { return alone([]any{x}) }, func(x any) any {
						if list, _ := at(x).([]any); len(list) == 1 {
							return list[0]
						}
						return nil
					})
				}
				return
			}
		}
		text, err := json.Marshal(alone(v))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []*Decoder{d, NewDecoder(DecoderConfig{})} {
			if got := at(encoded(d, text)); !reflect.DeepEqual(got, v) {
				t.Errorf("%s alone: %s becomes %s", path, text, fmt.Sprint(got))
			}
		}
		members++
	}
	same := func(x any) any { return x }
	each(whole, "", same, same)
	if members < 60 {
		t.Errorf("%d members", members)
	}
}
