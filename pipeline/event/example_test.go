package event_test

import (
	"fmt"

	"spoor/pipeline/event"
)

// One Decoder and one Event serve all the records of a partition.
func Example() {
	d := event.NewDecoder(event.DecoderConfig{})
	var e event.Event
	for _, record := range []string{
		`{"evt":{"name":"create_file"},"file":{"path":"C:\\Temp\\a&b.txt"},"seen":1}`,
		`{"process":{"pid":"four"}}`,
	} {
		if err := d.Decode([]byte(record), &e); err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(e.Meta.Name, d.Unknown())
		e.Agent = &event.Agent{RuleID: "temp_file"}
		e.Title = "A file in Temp"
		signal, err := event.AppendSignal(nil, &e)
		fmt.Println(string(signal), err)
	}
	// Output:
	// create 1
	// {"agent":{"rule_id":"temp_file"},"title":"A file in Temp","evt":{"name":"create_file"},"file":{"path":"C:\\Temp\\a&b.txt","name":"a&b.txt"}} <nil>
	// wrong_type: process.pid: string is not an integer
}
