package state

import (
	"slices"
	"strings"

	"spoor/pipeline/event"
)

// intern holds the values that many processes share, each once, as long as a node uses it. Everything in it is
// cloned out of the record it came in.
type intern struct {
	files      map[event.File]*internedFile
	texts      map[string]*internedText
	containers map[containerKey]*internedContainer
}

type internedFile struct {
	file event.File
	refs int
}

type internedText struct {
	text string
	refs int
}

type internedContainer struct {
	container event.Container
	refs      int
}

type containerKey struct {
	id        string
	created   event.Time
	variables string
}

func keyOf(c *event.Container) containerKey {
	return containerKey{c.ID, c.CreatedAt, string(c.Variables)}
}

// What an interned value takes beside its texts: itself and its entry in the map.
const (
	fileBytes      = 64 + 72
	userBytes      = 32 + 40
	containerBytes = 64 + 80
)

func (i *intern) empty() {
	i.files = make(map[event.File]*internedFile)
	i.texts = make(map[string]*internedText)
	i.containers = make(map[containerKey]*internedContainer)
}

func sizeOfFile(f *event.File) int64 {
	n := fileBytes + textBytes(len(f.Path)) + textBytes(len(f.DevicePath))
	if !strings.HasSuffix(f.Path, f.Name) {
		n += textBytes(len(f.Name))
	}
	return n
}

func sizeOfContainer(c *event.Container) int64 {
	return containerBytes + textBytes(len(c.ID)) + 2*textBytes(len(c.Variables))
}

func (s *State) internFile(f *event.File) *event.File {
	if f == nil || *f == (event.File{}) {
		return nil
	}
	in, ok := s.interned.files[*f]
	if !ok {
		in = &internedFile{file: event.File{Path: strings.Clone(f.Path), DevicePath: strings.Clone(f.DevicePath)}}
		// The name is nearly always the end of the path.
		if strings.HasSuffix(f.Path, f.Name) {
			in.file.Name = in.file.Path[len(f.Path)-len(f.Name):]
		} else {
			in.file.Name = strings.Clone(f.Name)
		}
		s.interned.files[in.file] = in
		s.bytes += sizeOfFile(&in.file)
	}
	in.refs++
	return &in.file
}

func (s *State) releaseFile(f *event.File) {
	if f == nil {
		return
	}
	in := s.interned.files[*f]
	if in.refs--; in.refs == 0 {
		delete(s.interned.files, *f)
		s.bytes -= sizeOfFile(f)
	}
}

func (s *State) internText(text string) string {
	if text == "" {
		return ""
	}
	in, ok := s.interned.texts[text]
	if !ok {
		in = &internedText{text: strings.Clone(text)}
		s.interned.texts[in.text] = in
		s.bytes += userBytes + textBytes(len(text))
	}
	in.refs++
	return in.text
}

func (s *State) releaseText(text string) {
	if text == "" {
		return
	}
	in := s.interned.texts[text]
	if in.refs--; in.refs == 0 {
		delete(s.interned.texts, text)
		s.bytes -= userBytes + textBytes(len(text))
	}
}

func (s *State) internContainer(c *event.Container) *event.Container {
	if c == nil {
		return nil
	}
	key := keyOf(c)
	in, ok := s.interned.containers[key]
	if !ok {
		key.id = strings.Clone(key.id)
		in = &internedContainer{container: event.Container{ID: key.id, CreatedAt: c.CreatedAt,
			Variables: slices.Clone(c.Variables)}}
		s.interned.containers[key] = in
		s.bytes += sizeOfContainer(c)
	}
	in.refs++
	return &in.container
}

func (s *State) releaseContainer(c *event.Container) {
	if c == nil {
		return
	}
	in := s.interned.containers[keyOf(c)]
	if in.refs--; in.refs == 0 {
		delete(s.interned.containers, keyOf(c))
		s.bytes -= sizeOfContainer(c)
	}
}
