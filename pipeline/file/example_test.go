package file_test

import (
	"fmt"
	"io"
	"os"
	"strings"

	"spoor/pipeline"
	"spoor/pipeline/file"
)

// Records and bare events may be mixed; what cannot be read comes with a fault.
func ExampleReader() {
	text := `{"topic":"events","partition":2,"offset":7,"key":"host-1","ts":"2026-01-01T00:00:00Z","value":{"title":"a"}}
{"evt":{"name":"exec"},"date":"2026-01-01T00:00:01Z"}
{"evt":{"name":
`
	r, err := file.Open([]string{file.Stdin}, file.Options{Stdin: strings.NewReader(text)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	for {
		l, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		if l.Fault != nil {
			fmt.Println(l.Fault)
			continue
		}
		fmt.Printf("%s/%d/%d %q %s\n", l.Topic, l.Partition, l.Offset, l.Key, l.Value)
	}
	// Output:
	// events/2/7 "host-1" {"title":"a"}
	// stdin/0/1 "" {"evt":{"name":"exec"},"date":"2026-01-01T00:00:01Z"}
	// corrupt_record: stdin:3: the line ends where the end of a value should be
}

func ExampleWriter() {
	w := file.NewWriter(os.Stdout)
	tp := pipeline.TopicPartition{Topic: "events"}
	for i, value := range []string{`{"title":"a"}`, "no event"} {
		if err := w.Write(tp, &pipeline.Record{Offset: int64(i), Timestamp: 1767225600000, Key: []byte("host-1"), Value: []byte(value)}); err != nil {
			fmt.Println(err)
		}
	}
	if err := w.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {"topic":"events","partition":0,"offset":0,"ts":"2026-01-01T00:00:00.000Z","key":"host-1","headers":{},"value":{"title":"a"}}
	// {"topic":"events","partition":0,"offset":1,"ts":"2026-01-01T00:00:00.000Z","key":"host-1","headers":{},"raw":"bm8gZXZlbnQ="}
}
