package event

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// everything is a record with every member of the schema.
const everything = `{
 "agent":{"rule_id":"r","rule_version":"1","rule_actions":[{"a":[1,{"b":null}]},"x",2],"policy_name":"p","policy_version":"2","version":"7.1","os":"windows","arch":"amd64","origin":"o"},
 "title":"t","date":"2026-01-02T03:04:05.123456789+02:00",
 "evt":{"name":"exec","category":"c","outcome":"unknown","async":true,"variables":{"s":"a","n":1.5,"b":true,"l":["a","b"]},
  "matched_rules":[{"id":"m","version":"1","tags":["a:b","c:d"],"policy_name":"pn","policy_version":"pv"},{"id":"n"}]},
 "file":{"path":"C:\\a\\b.exe","device_path":"\\Device\\b.exe","name":"b.exe","destination":{"path":"C:\\c\\d.exe","device_path":"\\Device\\d.exe"}},
 "exit":{"cause":"EXITED","code":-1073741819},
 "process":{"pid":10,"ppid":4,"exec_time":"2026-01-01T00:00:00Z","exit_time":"2026-01-01T00:00:01Z","executable":{"path":"C:\\x.exe"},
  "container":{"id":"c1","created_at":"2025-12-31T00:00:00Z","variables":{"k":[1,2]}},"cmdline":"x \"y\" \u00e9","user":"u",
  "parent":{"pid":4,"ppid":0,"executable":{"path":"C:/p/q.exe"},"cmdline":"q","user":"S"},
  "ancestors":[{"pid":4,"executable":{"path":"C:/p/q.exe"}},{"pid":1,"ppid":0,"container":{"id":"z"}}],"variables":{"pv":"1"},"truncated_ancestors":true},
 "container":{"id":"c2","created_at":"2025-12-31T00:00:00Z","variables":{"cv":false}},
 "registry":{"key_path":"HKLM\\A\\B","value_name":"v"},"usr":{"name":"n","sid":"S-1"},
 "permission_change":{"username":"u","user_domain":"d","path":"p","type":"File","old_sd":"o","new_sd":"n"}}`

// decodeCases are records with what becomes of them: the reason of the reject, or the event encoded again.
var decodeCases = []struct{ name, in, want string }{
	// Not JSON.
	{"empty", ``, `invalid_json`},
	{"spaces", " \n", `invalid_json`},
	{"null", `null`, `invalid_json`},
	{"list", `[{}]`, `invalid_json`},
	{"text", `"{}"`, `invalid_json`},
	{"number", `1`, `invalid_json`},
	{"true", `true`, `invalid_json`},
	{"garbage", "\x00\x01\xff", `invalid_json`},
	{"open", `{`, `invalid_json`},
	{"cut in a key", `{"ti`, `invalid_json`},
	{"cut in an escape", `{"title":"a\`, `invalid_json`},
	{"cut in a key's escape", `{"ti\`, `invalid_json`},
	{"cut in a unicode escape", `{"title":"\u00`, `invalid_json`},
	{"cut in a number", `{"process":{"pid":-`, `invalid_json`},
	{"cut in a list", `{"evt":{"matched_rules":[{"id":"a"},`, `invalid_json`},
	{"bad escape", `{"title":"\q"}`, `invalid_json`},
	{"bad escape in a key", `{"\q":1}`, `invalid_json`},
	{"control character", "{\"title\":\"a\nb\"}", `invalid_json`},
	{"nul in a text", "{\"title\":\"a\x00b\"}", `invalid_json`},
	{"nul after", "{}\x00", `invalid_json`},
	{"nul between", "{\x00}", `invalid_json`},
	{"trailing garbage", `{} x`, `invalid_json`},
	{"two objects", `{}{}`, `invalid_json`},
	{"trailing comma", `{"title":"a",}`, `invalid_json`},
	{"no colon", `{"title" "a"}`, `invalid_json`},
	{"single quotes", `{'title':'a'}`, `invalid_json`},
	{"comment", `{/*a*/}`, `invalid_json`},
	{"byte order mark", "\ufeff{}", `invalid_json`},
	{"leading zero", `{"process":{"pid":01}}`, `invalid_json`},
	{"plus", `{"process":{"pid":+1}}`, `invalid_json`},
	{"NaN", `{"process":{"pid":NaN}}`, `invalid_json`},
	{"capital TRUE", `{"evt":{"async":TRUE}}`, `invalid_json`},
	{"broken in an unknown member", `{"x":[1,}`, `invalid_json`},
	{"broken after a wrong type", `{"title":1,`, `invalid_json`},
	{"broken raw action", `{"agent":{"rule_actions":[{]}}`, `invalid_json`},
	// Wrong types.
	{"number for a text", `{"title":1}`, `wrong_type`},
	{"object for a text", `{"title":{}}`, `wrong_type`},
	{"text for an object", `{"process":"x"}`, `wrong_type`},
	{"list for an object", `{"process":[]}`, `wrong_type`},
	{"object for a list", `{"process":{"ancestors":{}}}`, `wrong_type`},
	{"text for a number", `{"process":{"pid":"1"}}`, `wrong_type`},
	{"fraction", `{"process":{"pid":1.5}}`, `wrong_type`},
	{"exponent", `{"process":{"pid":1e3}}`, `wrong_type`},
	{"too large", `{"process":{"pid":9223372036854775808}}`, `wrong_type`},
	{"far too large", `{"process":{"pid":99999999999999999999999999}}`, `wrong_type`},
	{"too small", `{"exit":{"cause":"EXITED","code":-9223372036854775809}}`, `wrong_type`},
	{"text for a boolean", `{"evt":{"async":"true"}}`, `wrong_type`},
	{"number in tags", `{"evt":{"matched_rules":[{"tags":[1]}]}}`, `wrong_type`},
	{"null ancestor", `{"process":{"ancestors":[{"pid":1},null]}}`, `wrong_type`},
	{"number for a date", `{"date":1700000000}`, `wrong_type`},
	{"object for a date", `{"date":{}}`, `wrong_type`},
	{"variables list", `{"evt":{"variables":[1]}}`, `wrong_type`},
	{"variables text", `{"evt":{"variables":"x"}}`, `wrong_type`},
	{"variable object", `{"evt":{"variables":{"a":{"b":1}}}}`, `wrong_type`},
	{"variable null", `{"evt":{"variables":{"a": null}}}`, `wrong_type`},
	{"variable list of lists", `{"evt":{"variables":{"a":[["b"]]}}}`, `wrong_type`},
	{"variable list of objects", `{"evt":{"variables":{"a":["x", {}]}}}`, `wrong_type`},
	{"variable list with null", `{"evt":{"variables":{"a":["x",null]}}}`, `wrong_type`},
	// Dates.
	{"date empty", `{"date":""}`, `bad_date`},
	{"date words", `{"date":"yesterday"}`, `bad_date`},
	{"date without zone", `{"date":"2026-01-01T00:00:00"}`, `bad_date`},
	{"date alone", `{"date":"2026-01-01"}`, `bad_date`},
	{"date with space", `{"date":"2026-01-01 00:00:00Z"}`, `bad_date`},
	{"date month 13", `{"date":"2026-13-01T00:00:00Z"}`, `bad_date`},
	{"date February 30", `{"date":"2026-02-30T00:00:00Z"}`, `bad_date`},
	{"date leap second", `{"date":"2016-12-31T23:59:60Z"}`, `bad_date`},
	{"date too early", `{"date":"1500-01-01T00:00:00Z"}`, `bad_date`},
	{"date too late", `{"date":"2500-01-01T00:00:00Z"}`, `bad_date`},
	{"bad created_at", `{"process":{"container":{"created_at":"x"}}}`, `bad_date`},
	// Nesting.
	{"deep", strings.Repeat(`{"x":`, 65) + `1` + strings.Repeat(`}`, 65), `too_deep`},
	{"bomb", strings.Repeat(`{"process":`, 80000), `too_deep`},
	{"list bomb", `{"agent":{"rule_actions":` + strings.Repeat(`[`, 500000), `too_deep`},
	{"just not deep", `{"agent":{"rule_actions":[` + strings.Repeat(`[`, 61) + strings.Repeat(`]`, 61) + `]}}`,
		`{"agent":{"rule_actions":[` + strings.Repeat(`[`, 61) + strings.Repeat(`]`, 61) + `]}}`},
	{"many brackets in a text", `{"title":"` + strings.Repeat(`[`, 100) + `"}`, `{"title":"` + strings.Repeat(`[`, 100) + `"}`},
	{"brackets after an escaped quote", `{"title":"\"` + strings.Repeat(`[`, 100) + `"}`, `{"title":"\"` + strings.Repeat(`[`, 100) + `"}`},
	{"many siblings", `{"x":[` + strings.Repeat(`{},`, 100) + `{}]}`, `{}`},

	// Accepted.
	{"no members", `{}`, `{}`},
	{"white space", " \t\r\n{ \"title\" :\n\"a\" } \n", `{"title":"a"}`},
	{"nulls", `{"agent":null,"title":null,"evt":null,"date":null,"file":null,"exit":null,"process":null,"usr":null}`, `{}`},
	{"nested nulls", `{"process":{"pid":null,"ppid":null,"executable":null,"parent":null,"ancestors":null,"exec_time":null,"variables":null}}`, `{}`},
	{"empty objects", `{"agent":{},"evt":{},"file":{"destination":{}},"exit":{},"process":{"executable":{},"container":{},"parent":{},"ancestors":[]},"usr":{}}`, `{}`},
	{"empty variables", `{"evt":{"variables":{ }},"container":{"variables":{}}}`, `{}`},
	{"zero pid stays", `{"process":{"pid":0,"ppid":0}}`, `{"process":{"pid":0,"ppid":0}}`},
	{"negative pid stays", `{"process":{"pid":-1}}`, `{"process":{"pid":-1}}`},
	{"smallest pid stays", `{"process":{"pid":-9223372036854775808}}`, `{"process":{"pid":-9223372036854775808}}`},
	{"smallest pid in a text", `{"process":{"ppid":3,"cmdline":"-9223372036854775808"}}`, `{"process":{"ppid":3,"cmdline":"-9223372036854775808"}}`},
	{"largest pid", `{"process":{"pid":9223372036854775807}}`, `{"process":{"pid":9223372036854775807}}`},
	{"exit code zero", `{"exit":{"cause":"EXITED","code":0}}`, `{"exit":{"cause":"EXITED","code":0}}`},
	{"exit without code", `{"exit":{"cause":"EXITED"}}`, `{"exit":{"cause":"EXITED","code":0}}`},
	{"other case", `{"TITLE":"a","Process":{"PID":1}}`, `{"title":"a","process":{"pid":1}}`},
	{"exotic case", `{"proceſſ":{"pid":1},"\u212Aey":1}`, `{"process":{"pid":1}}`},
	{"escaped key", `{"\u0074itle":"a"}`, `{"title":"a"}`},
	{"the last key wins", `{"title":"a","title":"b"}`, `{"title":"b"}`},
	{"two cases, the last wins", `{"title":"a","TITLE":"b"}`, `{"title":"b"}`},
	{"twice merges", `{"process":{"pid":1},"process":{"ppid":2}}`, `{"process":{"pid":1,"ppid":2}}`},
	{"null between", `{"process":{"pid":1},"process":null,"process":{"ppid":2}}`, `{"process":{"ppid":2}}`},
	{"null after", `{"process":{"pid":1,"pid":null}}`, `{}`},
	{"list twice", `{"process":{"ancestors":[{"pid":1},{"pid":2}],"ancestors":[{"ppid":3}]}}`, `{"process":{"ancestors":[{"pid":1,"ppid":3}]}}`},
	{"list twice, an empty one between", `{"process":{"ancestors":[{"pid":1}],"ancestors":[ ],"ancestors":[{"ppid":3}]}}`, `{"process":{"ancestors":[{"ppid":3}]}}`},
	{"object with a list twice", `{"evt":{"matched_rules":[{"id":"a"}]},"evt":{"matched_rules":[]},"x":1,"EVT":{"matched_rules":[{"version":"b"}]}}`, `{"evt":{"matched_rules":[{"version":"b"}]}}`},
	{"escapes", `{"title":"\u00e9\ud83d\ude00\/\b\f\n\r\t\"\\"}`, `{"title":"é😀/\b\f\n\r\t\"\\"}`},
	{"lone surrogate", `{"title":"a\ud800b"}`, "{\"title\":\"a\ufffdb\"}"},
	{"invalid UTF-8", "{\"title\":\"a\xff\xfeb\"}", "{\"title\":\"a\ufffd\ufffdb\"}"},
	{"invalid UTF-8 kept raw", "{\"evt\":{\"variables\":{\"a\":\"\xff\"}}}", "{\"evt\":{\"variables\":{\"a\":\"\ufffd\"}}}"},
	{"nothing escaped for HTML", `{"title":"<a href=\"x\">&"}`, `{"title":"<a href=\"x\">&"}`},
	{"nul escaped", `{"title":"a\u0000b"}`, `{"title":"a\u0000b"}`},
	{"date with fraction", `{"date":"2026-01-02T03:04:05.123456789Z"}`, `{"date":"2026-01-02T03:04:05.123456789Z"}`},
	{"date in another zone", `{"date":"2026-01-02T03:04:05+02:00"}`, `{"date":"2026-01-02T01:04:05Z"}`},
	{"date escaped", `{"date":"2026-01-02T03\u003a04:05Z"}`, `{"date":"2026-01-02T03:04:05Z"}`},
	{"date of nothing", `{"date":"0001-01-01T00:00:00Z"}`, `{}`},
	{"date of the epoch", `{"date":"1970-01-01T00:00:00Z"}`, `{}`},
	{"unknown members", `{"x":1,"process":{"y":{"z":[{"pid":1}]}}}`, `{}`},
	{"variables as they came", `{"evt":{"variables":{"a":1.50,"b":"x\u0041"}}}`, `{"evt":{"variables":{"a":1.50,"b":"x\u0041"}}}`},
	{"names of files", `{"file":{"path":"C:\\a\\b.txt","destination":{"path":"/c/d"}}}`,
		`{"file":{"path":"C:\\a\\b.txt","name":"b.txt","destination":{"path":"/c/d","name":"d"}}}`},
	{"names kept", `{"file":{"path":"C:\\a\\b.txt","name":"B"}}`, `{"file":{"path":"C:\\a\\b.txt","name":"B"}}`},
	{"no name of a device path", `{"file":{"device_path":"\\Device\\x"}}`, `{"file":{"device_path":"\\Device\\x"}}`},
	{"names of executables", `{"process":{"executable":{"path":"\\a"},"parent":{"executable":{"path":"C:\\b"}},"ancestors":[{"executable":{"path":"C:\\b"}},{"executable":{"path":"C:\\c"}}]}}`,
		`{"process":{"executable":{"path":"\\a","name":"a"},"parent":{"executable":{"path":"C:\\b","name":"b"}},"ancestors":[{"executable":{"path":"C:\\b","name":"b"}},{"executable":{"path":"C:\\c","name":"c"}}]}}`},
	{"name of a key", `{"registry":{"key_path":"HKLM\\A\\B\\"}}`, `{"registry":{"key_name":"B","key_path":"HKLM\\A\\B\\"}}`},
	{"own name of a key", `{"registry":{"key_name":"x","key_path":"HKLM\\A\\B"}}`, `{"registry":{"key_name":"x","key_path":"HKLM\\A\\B"}}`},
}

func TestDecode(t *testing.T) {
	d := NewDecoder(DecoderConfig{})
	for _, c := range decodeCases {
		var e Event
		got := ""
		if err := d.Decode([]byte(c.in), &e); err != nil {
			got = string(err.(*Error).Reason)
			if err.(*Error).Detail == "" {
				t.Errorf("%s: no detail", c.name)
			}
		} else if b, err := AppendEvent(nil, &e); err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else {
			got = string(b)
		}
		if got != c.want {
			t.Errorf("%s: %.200s is %s, want %s", c.name, c.in, got, c.want)
		}
	}
}

// Every recorded event decodes, and the schema has all of its members.
func TestTraffic(t *testing.T) {
	d := NewDecoder(DecoderConfig{RejectUnknown: true})
	var e Event
	n := 0
	for _, value := range traffic(t, 10) {
		if err := d.Decode(value, &e); err != nil {
			t.Fatalf("%s: %v", value, err)
		}
		if want, err := oracle(value); err != nil || !reflect.DeepEqual(&e, want) {
			t.Fatalf("%s is %s, encoding/json reads %s, %v", value, dump(&e), dump(want), err)
		}
		if e.Date == 0 || e.Meta.Name == "" || e.Process == nil {
			t.Fatalf("%s lacks what every recorded event has: %s", value, dump(&e))
		}
		n++
	}
	if n < 10_000 {
		t.Errorf("%d events only", n)
	}
}

func TestDecodeRefuses(t *testing.T) {
	long := `{"title":"` + strings.Repeat("x", 100) + `"}`
	cases := []struct {
		cfg  DecoderConfig
		in   string
		want string
	}{
		{DecoderConfig{MaxBytes: 110}, long, `record_too_large: 112 bytes, at most 110 are read`},
		{DecoderConfig{MaxBytes: 112}, long, ``},
		{DecoderConfig{}, `{"title":"` + strings.Repeat("x", DefaultMaxBytes) + `"}`, `record_too_large: 1048588 bytes, at most 1048576 are read`},
		{DecoderConfig{RejectUnknown: true}, `{"evt":{"colour":1}}`, `unknown_field: "colour"`},
		{DecoderConfig{RejectUnknown: true}, `{"agent":{"rule_actions":[{"colour":1}]},"evt":{"variables":{"colour":1}},"TITLE":"a"}`, ``},
		{DecoderConfig{}, `{"process":{"pid":"7"}}`, `wrong_type: process.pid: string is not an integer`},
		{DecoderConfig{}, `{"process":{"parent":{"executable":[]}}}`, `wrong_type: process.parent.executable: array is not an object`},
		{DecoderConfig{}, `{"date":"soon"}`, `bad_date: not RFC 3339: soon`},
		{DecoderConfig{}, `{"title":"a"`, `invalid_json: at byte 12: unexpected end of JSON input`},
	}
	for _, c := range cases {
		var e Event
		err := NewDecoder(c.cfg).Decode([]byte(c.in), &e)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%.60s: %s, want %s", c.in, got, c.want)
		}
	}
}

func TestUnknown(t *testing.T) {
	d := NewDecoder(DecoderConfig{})
	for _, c := range []struct {
		in   string
		want int
	}{
		{`{"title":"a"}`, 0},
		{`{"a":1}`, 1},
		{`{"a":{"b":{"c":1}}}`, 1},
		{`{"a":1,"a":2,"process":{"b":[],"ancestors":[{"c":1,"pid":3},{"c":{}}]},"evt":{"matched_rules":[{"d":"\"}"}]}}`, 6},
		{`{"title":"a"}`, 0},
		{`{"Title":"a","\u0061gent":{},"evt":{"variables":{"x":1}}}`, 0},
		{`{"t\u0069tl":1,"x\\":2}`, 2},
		{`[]`, 0},
	} {
		var e Event
		_ = d.Decode([]byte(c.in), &e) // the last one is no record
		if got := d.Unknown(); got != c.want {
			t.Errorf("%s: %d unknown members, want %d", c.in, got, c.want)
		}
	}
}

func TestMeta(t *testing.T) {
	d := NewDecoder(DecoderConfig{})
	for _, c := range []struct {
		in   string
		want Meta
	}{
		{`{}`, Meta{}},
		{`{"evt":{"name":"Create_File"}}`, Meta{Name: "create"}},
		{`{"evt":{"name":"EXEC"}}`, Meta{Name: "exec"}},
		{`{"evt":{"name":"Fancy"}}`, Meta{Name: "Fancy"}},
		{`{"process":{"parent":{"pid":1}}}`, Meta{}},
		{`{"process":{"parent":{"executable":{"path":"a"}}}}`, Meta{ParentKnown: true}},
	} {
		e := Event{Meta: Meta{Host: "h", HasHost: true, AncestorsComplete: true}}
		if err := d.Decode([]byte(c.in), &e); err != nil || e.Meta != c.want {
			t.Errorf("%s: %+v, %v; want %+v", c.in, e.Meta, err, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"exec": "exec", "Exec": "exec", "create_file": "create", "CREATE_REGISTRY_KEY": "create_key", "set_registry_key_value": "set_key_value",
		"": "", "x": "x", "éxec": "éxec", "utimes": "utimes", strings.Repeat("x", 100): strings.Repeat("x", 100),
	} {
		if got := Canonical(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	for name, want := range map[string]bool{"create_file": true, "Delete_File": true, "create": false, "CREATE": false, "x": false, "": false} {
		if IsAlias(name) != want {
			t.Errorf("%s is an alias: %v", name, !want)
		}
	}
	for _, name := range Known() {
		if Canonical(name) != name || IsAlias(name) {
			t.Errorf("%s is known as %s", name, Canonical(name))
		}
	}
}

func TestBasename(t *testing.T) {
	for path, want := range map[string]string{
		`C:\a\b.exe`: "b.exe", `b.exe`: "b.exe", `/usr/bin/x`: "x", `C:\a/b`: "b", `C:\a\`: "a", `\`: "", ``: "", `C:`: "C:", `\\?\C:\x`: "x",
	} {
		if got := Basename(path); got != want {
			t.Errorf("basename of %s is %q, want %q", path, got, want)
		}
	}
}

// A clone outlives the record and the decoder's next one.
func TestCloneSharesNothing(t *testing.T) {
	d := NewDecoder(DecoderConfig{})
	value := []byte(everything)
	var e Event
	for range 2 { // the second time the ancestors lie in the decoder
		if err := d.Decode(value, &e); err != nil {
			t.Fatal(err)
		}
	}
	c := e.Clone()
	before := dump(c)
	for i := range value {
		value[i] = 'x'
	}
	if err := d.Decode([]byte(strings.NewReplacer("1", "2", "a", "b").Replace(everything)), new(Event)); err == nil {
		t.Fatal("the second record should be broken")
	}
	if after := dump(c); after != before {
		t.Errorf("the clone was %s and is %s", before, after)
	}
	if want, err := oracle([]byte(everything)); err != nil || !reflect.DeepEqual(c, want) {
		t.Errorf("the clone is %s, want %s, %v", before, dump(want), err)
	}
}

// Lists that come twice are merged as encoding/json merges them, whatever their lengths.
func TestListsTwice(t *testing.T) {
	list := func(member string, n int) string {
		items := make([]string, n)
		for i := range items {
			items[i] = fmt.Sprintf(`{%q:%d}`, member, i)
		}
		return `"ancestors":[` + strings.Join(items, ",") + `]`
	}
	d := NewDecoder(DecoderConfig{})
	for _, a := range []int{0, 1, 3, 63, 64, 65, 130} {
		for _, b := range []int{0, 1, 5, 64, 65, 200} {
			for _, c := range []int{0, 2, 64, 70, 129, 300} {
				value := []byte(`{"process":{` + list("pid", a) + "," + list("ppid", b) + "," + list("pid", c) + `}}`)
				var e Event
				err := d.Decode(value, &e)
				want, wantErr := oracle(value)
				if err != nil || wantErr != nil || !reflect.DeepEqual(&e, want) {
					t.Fatalf("lists of %d, %d, %d: %v, %v\n%s\n%s", a, b, c, err, wantErr, dump(&e), dump(want))
				}
			}
		}
	}
}
