package rules

import (
	"strings"

	"spoor/pipeline/event"
)

// The functions below take paths apart without allocating: what they return is part of what they are given,
// as written. Both \ and / separate, runs of them are one, and separators at the end are not part of the
// last name. They look at text alone; nothing is resolved.
//
//	path                      basename            dirname             extension
//	C:\Windows\cmd.exe        cmd.exe             C:\Windows          .exe
//	C:\Windows\               Windows             C:\
//	C:\                       C:
//	cmd.exe                   cmd.exe                                 .exe
//	\\server\share\a.b\c      c                   \\server\share\a.b
//	C:\a\doc.txt:evil.exe     doc.txt:evil.exe    C:\a                .txt
//
// A name keeps its alternate data stream, because the stream is part of what the event names; the extension
// is the file's own, so that a stream can neither hide nor fake it.

// basename returns the last name of path: what an event without a name gets as its file.name.
func basename(path string) string { return event.Basename(path) }

// dirname returns what stands before the last name, without the separators at its end unless they are a
// root's, and "" when nothing does.
func dirname(path string) string {
	end := trimSeparators(path, len(path))
	start := end - len(basename(path))
	dir := trimSeparators(path, start)
	if dir == 0 || dir == 2 && path[1] == ':' {
		return path[:start] // \ and C:\ need their separator
	}
	return path[:dir]
}

// extension returns the last dot of the file's own name and what follows it: "" without a dot and for a
// dot at the end.
func extension(path string) string {
	name := basename(path)
	if i := strings.IndexByte(name, ':'); i >= 0 {
		name = name[:i]
	}
	i := strings.LastIndexByte(name, '.')
	if i < 0 || i == len(name)-1 {
		return ""
	}
	return name[i:]
}

func trimSeparators(path string, end int) int {
	for end > 0 && isSeparator(path[end-1]) {
		end--
	}
	return end
}
