package main

import (
	"errors"
	"fmt"
	"io"

	"spoor/pipeline/file"
)

// faultsShown is how many lines that could not be read are named: a file of another format has nothing else.
const faultsShown = 10

// faults tells of lines of recorded traffic that could not be read. It is owned by the goroutine that reads.
type faults struct {
	w   io.Writer // nil: they were told of before
	bar *progress
	n   int
	cut int // files that could not be read to their end
}

func (f *faults) add(x file.Fault) {
	f.n++
	if x.Rest {
		f.cut++
	}
	if f.w == nil || f.n > faultsShown && !x.Rest {
		return
	}
	f.bar.clear()
	fmt.Fprintln(f.w, x.Error())
}

// end says how many there were, and fails when a file has more than could be read: what was found in the rest
// would be missing without a word.
func (f *faults) end() error {
	if f.w != nil && f.n > 0 {
		noun := "lines"
		if f.n == 1 {
			noun = "line"
		}
		fmt.Fprintf(f.w, "%d %s could not be read\n", f.n, noun)
	}
	if f.cut > 0 {
		return errors.New("a file is cut off or damaged: nothing is known of the rest of it")
	}
	return nil
}
