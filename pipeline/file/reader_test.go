package file

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// render is a line as the cases below write it.
func render(l *Line) string {
	key := "-"
	if l.Key != nil {
		key = fmt.Sprintf("%q", l.Key)
	}
	s := fmt.Sprintf("%s/%d/%d %d %s", l.Topic, l.Partition, l.Offset, l.Timestamp, key)
	for _, h := range l.Headers {
		s += fmt.Sprintf(" %s=%q", h.Key, h.Value)
	}
	if l.Fault != nil {
		return s + " " + l.Fault.Error()
	}
	return s + " " + string(l.Value)
}

// readAll renders everything in the files; a last line says what ended the reading, if it was not the end.
func readAll(t *testing.T, opts Options, paths ...string) []string {
	t.Helper()
	r, err := Open(paths, opts)
	if err != nil {
		return []string{"error: " + err.Error()}
	}
	defer r.Close()
	var got []string
	for {
		l, err := r.Next()
		if err == io.EOF {
			return got
		}
		if err != nil {
			return append(got, "error: "+err.Error())
		}
		if l.File == "" || l.Number < 1 {
			t.Errorf("a line without a place: %+v", l)
		}
		got = append(got, render(l))
	}
}

// put writes a file into a new directory, which is the working directory then.
func put(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func gz(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zst(t *testing.T, text string) string {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(z.EncodeAll([]byte(text), nil))
}

func TestReader(t *testing.T) {
	cases := []struct {
		name string
		text string   // of the file a.ndjson
		want []string // rendered lines
	}{
		{"empty file", "", nil},
		{"blank lines count", "\n\n{\"value\":{}}\n", []string{`a/0/2 0 - {}`}},
		{"record", `{"key":"h","ts":"2026-01-01T00:00:00.123Z","value":{"title":"x"}}`, []string{`a/0/0 1767225600123 "h" {"title":"x"}`}},
		{"value first", `{"value":{"a":1},"key":"h"}`, []string{`a/0/0 0 "h" {"a":1}`}},
		{"white space", " { \"key\" : \"h\" , \"value\" : { \"a\" : [ 1 , \"}\" ] } } ", []string{`a/0/0 0 "h" { "a" : [ 1 , "}" ] }`}},
		{"windows line ends", "{\"value\":{}}\r\n{\"value\":{}}\r\n", []string{`a/0/0 0 - {}`, `a/0/1 0 - {}`}},
		{"byte order mark", "\ufeff{\"key\":\"h\",\"value\":{}}\n", []string{`a/0/0 0 "h" {}`}},
		{"position", `{"topic":"t","partition":3,"offset":7,"key":"h","value":{}}`, []string{`t/3/7 0 "h" {}`}},
		{"two partitions", `{"topic":"t","partition":0,"offset":7,"value":{}}
{"topic":"t","partition":1,"offset":2,"value":{}}
{"topic":"t","partition":0,"offset":9,"value":{}}`, []string{`t/0/7 0 - {}`, `t/1/2 0 - {}`, `t/0/9 0 - {}`}},
		{"headers", `{"headers":{"b":"1","a":"x\ny"},"value":{}}`, []string{`a/0/0 0 - b="1" a="x\ny" {}`}},
		{"header list", `{"headers":[{"key":"a","value":"1"},{"key":"a","value":null},{"key":"b","raw":"/w=="}],"value":{}}`,
			[]string{`a/0/0 0 - a="1" a="" b="\xff" {}`}},
		{"null key and headers", `{"key":null,"headers":null,"ts":null,"value":{}}`, []string{`a/0/0 0 - {}`}},
		{"empty key", `{"key":"","value":{}}`, []string{`a/0/0 0 "" {}`}},
		{"key with escapes", `{"key":"\u0048OST\\1","value":{}}`, []string{`a/0/0 0 "HOST\\1" {}`}},
		{"raw key and value", `{"raw_key":"/w==","raw":"e30K"}`, []string{"a/0/0 0 \"\\xff\" {}\n"}},
		{"no value", `{"key":"h","value":null}`, []string{`a/0/0 0 "h" `}},
		{"value of another kind", `{"key":"h","value":"text"}`, []string{`a/0/0 0 "h" "text"`}},
		{"other members", `{"dataset":{"value":1},"key":"h","value":{}}`, []string{`a/0/0 0 "h" {}`}},
		{"ts in another zone", `{"ts":"2026-01-01T02:00:00+02:00","value":{}}`, []string{`a/0/0 1767225600000 - {}`}},
		{"ts as a number", `{"ts":-1,"value":{}}`, []string{`a/0/0 -1 - {}`}},
		{"ts is the date", `{"value":{"evt":{"date":1},"date":"2026-01-01T00:00:00Z"}}`, []string{`a/0/0 1767225600000 - {"evt":{"date":1},"date":"2026-01-01T00:00:00Z"}`}},
		{"bare event", `{"date":"2026-01-01T00:00:00Z","evt":{"name":"exec"}}`, []string{`a/0/0 1767225600000 - {"date":"2026-01-01T00:00:00Z","evt":{"name":"exec"}}`}},
		{"bare event with a member value", `{"value":1,"evt":{}}`, []string{`a/0/0 0 - {"value":1,"evt":{}}`}},
		{"bare event without members", `{}`, []string{`a/0/0 0 - {}`}},
		{"bare event with a bad date", `{"date":"x","evt":{}}`, []string{`a/0/0 0 - {"date":"x","evt":{}}`}},
		{"value broken inside is the decoder's", `{"key":"h","value":{"a" 1, []]}`, []string{`a/0/0 0 "h" {"a" 1, []]`}},
		{"too many brackets", `{"key":"h","value":{"a":1}}}`, []string{`a/0/0 0 - corrupt_record: a.ndjson:1: more text after the object`}},
		{"no comma", `{"key":"h" "value":{}}`, []string{`a/0/0 0 - corrupt_record: a.ndjson:1: byte 11 is '"' where a comma or the end of the object should be`}},
		{"bad lines between good ones", "{\"value\":{}}\nnonsense\n{\"key\":\"h\",\"value\":{\"a\":\n{\"value\":{}}", []string{
			`a/0/0 0 - {}`,
			`a/0/1 0 - corrupt_record: a.ndjson:2: not a JSON object`,
			`a/0/2 0 - corrupt_record: a.ndjson:3: the line ends where the end of a value should be`,
			`a/0/3 0 - {}`}},
		{"UTF-16", "\xff\xfe{\x00}\x00", []string{`a/0/0 0 - corrupt_record: a.ndjson:1: the file is UTF-16: save it as UTF-8`}},
		{"not an object", `[1]`, []string{`a/0/0 0 - corrupt_record: a.ndjson:1: not a JSON object`}},
		{"text after", `{"value":{}} {}`, []string{`a/0/0 0 - corrupt_record: a.ndjson:1: more text after the object`}},
		{"key is no text", `{"key":1,"value":{}}`, []string{`a/0/0 0 - corrupt_record: a.ndjson:1: member "key": json: cannot unmarshal number into Go value of type string`}},
		{"bad ts", `{"ts":"today","value":{}}`, []string{`a/0/0 0 - corrupt_record: a.ndjson:1: member "ts": not RFC 3339: "today"`}},
		{"half a position", `{"topic":"t","value":{}}`, []string{`a/0/0 0 - corrupt_record: a.ndjson:1: topic, partition and offset stand together or not at all`}},
		{"negative offset", `{"topic":"t","partition":0,"offset":-1,"value":{}}`, []string{`a/0/0 0 - corrupt_record: a.ndjson:1: member "offset": not the offset of a record`}},
		{"no topic", `{"topic":"","partition":0,"offset":1,"value":{}}`, []string{`a/0/0 0 - corrupt_record: a.ndjson:1: topic or partition is not one`}},
		{"bad base64", `{"raw":"*"}`, []string{`a/0/0 0 - corrupt_record: a.ndjson:1: member "raw": illegal base64 data at input byte 0`}},
		{"offsets descend", "{\"topic\":\"t\",\"partition\":0,\"offset\":7,\"value\":{}}\n{\"topic\":\"t\",\"partition\":0,\"offset\":7,\"value\":{}}", []string{
			`t/0/7 0 - {}`,
			`error: a.ndjson:2: offset 7 of t/0 comes after offset 7: the offsets of a partition have to ascend over all files`}},
		{"bad line between positions", "x\n{\"topic\":\"a\",\"partition\":0,\"offset\":0,\"value\":{}}\ny\n{\"topic\":\"a\",\"partition\":0,\"offset\":1,\"value\":{}}", []string{
			`a.ndjson:lines/0/0 0 - corrupt_record: a.ndjson:1: not a JSON object`,
			`a/0/0 0 - {}`,
			`a.ndjson:lines/0/2 0 - corrupt_record: a.ndjson:3: not a JSON object`,
			`a/0/1 0 - {}`}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			put(t, map[string]string{"a.ndjson": c.text})
			diff(t, readAll(t, Options{}, "a.ndjson"), c.want)
		})
	}
}

func diff(t *testing.T, got, want []string) {
	t.Helper()
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got:\n%s\nwant:\n%s", g, w)
	}
}

func TestReaderOverFiles(t *testing.T) {
	line := "{\"value\":{}}\n"
	at := func(topic string, offset int) string {
		return fmt.Sprintf(`{"topic":%q,"partition":0,"offset":%d,"value":{}}`+"\n", topic, offset)
	}
	put(t, map[string]string{
		"a.ndjson": line + line, "b.json": line, "x/a.ndjson.gz": gz(t, line), "plain": line,
		"t1.ndjson": at("t", 5) + at("t", 6), "t2.ndjson": at("t", 9), "c.v2.ndjson.zst": zst(t, line),
		"bad.ndjson": "x\n" + line + "y",
	})
	cases := []struct {
		name  string
		paths []string
		want  []string
	}{
		{"no files", nil, []string{"error: no files to read"}},
		{"names", []string{"a.ndjson", "b.json", "plain", "c.v2.ndjson.zst"},
			[]string{`a/0/0 0 - {}`, `a/0/1 0 - {}`, `b/0/0 0 - {}`, `plain/0/0 0 - {}`, `c.v2/0/0 0 - {}`}},
		{"no such file", []string{"a.ndjson", "nope"}, []string{"error: open nope: no such file or directory"}},
		{"directory", []string{"x"}, []string{"error: x is a directory"}},
		{"one base name", []string{"a.ndjson", "x/a.ndjson.gz"},
			[]string{"error: a.ndjson and x/a.ndjson.gz have the same base name a, which names their records: rename one, or replay them apart"}},
		{"further passes", []string{"a.ndjson", "b.json", "./a.ndjson", "a.ndjson"},
			[]string{`a/0/0 0 - {}`, `a/0/1 0 - {}`, `b/0/0 0 - {}`, `a/0/2 0 - {}`, `a/0/3 0 - {}`, `a/0/4 0 - {}`, `a/0/5 0 - {}`}},
		{"one partition in two files", []string{"t1.ndjson", "t2.ndjson"}, []string{`t/0/5 0 - {}`, `t/0/6 0 - {}`, `t/0/9 0 - {}`}},
		{"in the wrong order", []string{"t2.ndjson", "t1.ndjson"}, []string{`t/0/9 0 - {}`,
			`error: t1.ndjson:1: offset 5 of t/0 comes after offset 9: the offsets of a partition have to ascend over all files`}},
		{"further pass over positions", []string{"t1.ndjson", "t1.ndjson"}, []string{`t/0/5 0 - {}`, `t/0/6 0 - {}`, `t/0/12 0 - {}`, `t/0/13 0 - {}`}},
		{"further pass over bad lines", []string{"bad.ndjson", "bad.ndjson"}, []string{
			`bad/0/0 0 - corrupt_record: bad.ndjson:1: not a JSON object`, `bad/0/1 0 - {}`, `bad/0/2 0 - corrupt_record: bad.ndjson:3: not a JSON object`,
			`bad/0/3 0 - corrupt_record: bad.ndjson:1: not a JSON object`, `bad/0/4 0 - {}`, `bad/0/5 0 - corrupt_record: bad.ndjson:3: not a JSON object`}},
		{"standard input twice", []string{"-", "-"}, []string{"error: standard input can be read once only"}},
		{"standard input", []string{"-"}, []string{`stdin/0/0 0 "h" {}`}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			diff(t, readAll(t, Options{Stdin: strings.NewReader(`{"key":"h","value":{}}`)}, c.paths...), c.want)
		})
	}
}

// numbered is n records.
func numbered(n int) (text string, want []string) {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"key":"h","value":{"title":"number %d %x"}}`+"\n", i, i*i*7919)
		want = append(want, fmt.Sprintf(`a/0/%d 0 "h" {"title":"number %d %x"}`, i, i, i*i*7919))
	}
	return b.String(), want
}

func TestEncodings(t *testing.T) {
	text, want := numbered(5000)
	half := len(text) / 2
	half += strings.IndexByte(text[half:], '\n') + 1
	for name, content := range map[string]string{
		"a.ndjson":     text,
		"a.ndjson.gz":  gz(t, text),
		"a.NDJSON.GZ":  gz(t, text),
		"a.ndjson.zst": zst(t, text),
		"a.gz":         gz(t, text[:half]) + gz(t, text[half:]),   // as cat makes it
		"a.zst":        zst(t, text[:half]) + zst(t, text[half:]), //
		"a.ndj":        gz(t, text),                               // named as if it were plain
		"a":            zst(t, text),
	} {
		t.Run(name, func(t *testing.T) {
			put(t, map[string]string{name: content})
			diff(t, readAll(t, Options{}, name), want)
		})
	}
}

func TestCorruptTail(t *testing.T) {
	text, want := numbered(5000)
	for name, content := range map[string]string{"a.ndjson": text, "a.ndjson.gz": gz(t, text), "a.ndjson.zst": zst(t, text)} {
		for _, part := range []int{0, 1, 3, 5, 20, 50, 99} {
			t.Run(fmt.Sprintf("%s %d%%", name, part), func(t *testing.T) {
				length := len(content)*part/100 + 1
				put(t, map[string]string{name: content[:length], "b.ndjson": `{"value":{}}`})
				var faults []Fault
				got := readAll(t, Options{Fault: func(f Fault) { faults = append(faults, f) }}, name, "b.ndjson")
				if len(got) < 2 || got[len(got)-1] != `b/0/0 0 - {}` {
					t.Fatalf("the next file is not read: %q", got)
				}
				got = got[:len(got)-1]
				whole := got[:len(got)-1]
				diff(t, whole, want[:len(whole)])
				if len(faults) != 1 || faults[0].File != name || faults[0].Line != len(got) ||
					!strings.Contains(got[len(got)-1], fmt.Sprintf("corrupt_record: %s:%d: ", name, len(got))) {
					t.Errorf("last line: %s; faults: %v", got[len(got)-1], faults)
				}
			})
		}
	}
}

func TestDamageInTheMiddle(t *testing.T) {
	text, want := numbered(5000)
	for name, content := range map[string]string{"a.ndjson.gz": gz(t, text), "a.ndjson.zst": zst(t, text)} {
		damaged := []byte(content)
		for i := range 8 {
			damaged[len(damaged)/2+i] ^= 0x5a
		}
		put(t, map[string]string{name: string(damaged), "c" + filepath.Ext(name): content, "b.ndjson": `{"value":{}}`})
		got := readAll(t, Options{}, name, "c"+filepath.Ext(name), "b.ndjson")
		if whole := "c/0/4999 "; len(got) < 5001 || !strings.HasPrefix(got[len(got)-2], whole) {
			t.Errorf("%s: the next file of the kind is not read whole", name)
		}
		if len(got) < 2 || got[len(got)-1] != `b/0/0 0 - {}` || !strings.Contains(strings.Join(got, "\n"), "corrupt_record: "+name) {
			t.Errorf("%s: %d lines, the last: %q", name, len(got), got[max(0, len(got)-2):])
		}
		if got[0] != want[0] && !strings.Contains(got[0], "corrupt_record") {
			t.Errorf("%s: first line: %s", name, got[0])
		}
	}
}

func TestLongLines(t *testing.T) {
	long := `{"value":{"title":"` + strings.Repeat("x", 1<<20) + `"}}`
	put(t, map[string]string{"a.ndjson": "{\"value\":{}}\n" + long + "\n{\"value\":{}}\n" + long})
	got := readAll(t, Options{MaxLineBytes: 1 << 19}, "a.ndjson")
	diff(t, got, []string{`a/0/0 0 - {}`,
		`a/0/1 0 - corrupt_record: a.ndjson:2: longer than 524288 bytes`, `a/0/2 0 - {}`,
		`a/0/3 0 - corrupt_record: a.ndjson:4: longer than 524288 bytes`})
	got = readAll(t, Options{}, "a.ndjson")
	if len(got) != 4 || !strings.HasSuffix(got[3], long[9:len(long)-1]) {
		t.Errorf("%d lines, the last is %d bytes long", len(got), len(got[len(got)-1]))
	}
}

func TestProgress(t *testing.T) {
	text, _ := numbered(50000)
	packed := zst(t, text)
	put(t, map[string]string{"a.ndjson": text, "b.ndjson.zst": packed})
	var last, total int64
	calls := 0
	readAll(t, Options{Progress: func(read, all int64) {
		if read < last || calls > 0 && all != total {
			t.Errorf("%d of %d after %d of %d", read, all, last, total)
		}
		last, total = read, all
		calls++
	}}, "a.ndjson", "b.ndjson.zst")
	if want := int64(len(text) + len(packed)); last != want || total != want || calls < 3 {
		t.Errorf("%d calls, the last says %d of %d, want %d", calls, last, total, want)
	}
}

func TestStandardInputIsNotWaitedFor(t *testing.T) {
	pr, pw := io.Pipe()
	defer pw.Close()
	r, err := Open([]string{Stdin}, Options{Stdin: pr})
	if err != nil {
		t.Fatal(err)
	}
	go io.WriteString(pw, "{\"value\":{}}\n")
	got := make(chan string)
	go func() {
		l, err := r.Next()
		if err != nil {
			got <- err.Error()
			return
		}
		got <- render(l)
	}()
	select {
	case line := <-got:
		if line != `stdin/0/0 0 - {}` {
			t.Error(line)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a line that is there was not read")
	}
}

// Bad lines at the beginning of a file are looked at once, however many there are.
func TestManyBadLines(t *testing.T) {
	const lines = 20_000
	r, err := Open([]string{Stdin}, Options{Stdin: strings.NewReader(strings.Repeat("1,2\n", lines) + "{}\n")})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	looks, last := 0, ahead{}
	for range lines {
		l, err := r.Next()
		if err != nil || l.Fault == nil {
			t.Fatalf("line %d: %v, %v", r.number, err, l)
		}
		if r.ahead != last {
			looks, last = looks+1, r.ahead
		}
	}
	if looks > 10 { // one for each piece that is read
		t.Errorf("looked ahead %d times", looks)
	}
}

// A file that is cut off or damaged says so in its last fault; a bad line is not one.
func TestRestOfFile(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "a.ndjson.zst")
	w, err := CreateText(whole)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, strings.Repeat("{}\nx\n", 10)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for cut, want := range map[int]int{0: 0, 3: 1} {
		name := filepath.Join(dir, fmt.Sprintf("cut%d.ndjson.zst", cut))
		if err := os.WriteFile(name, text[:len(text)-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		rest := 0
		r, err := Open([]string{name}, Options{Fault: func(f Fault) {
			if f.Rest {
				rest++
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = r.Next()
		}
		if rest != want || err != io.EOF {
			t.Errorf("without the last %d bytes: %d times the rest of a file, %v", cut, rest, err)
		}
	}
}
