package rules

import "strings"

// The functions below take Windows paths apart without allocating: what they return is part of what they
// are given, as written. Both \ and / separate, runs of them are one, and separators at the end are not
// part of the last name. They look at text alone; nothing is resolved.
//
//	path                      basename            dirname             extension
//	C:\Windows\cmd.exe        cmd.exe             C:\Windows          .exe
//	C:\Windows\               Windows             C:\
//	C:\Windows                Windows             C:\
//	C:\                                           C:\
//	C:cmd.exe                 cmd.exe             C:                  .exe
//	cmd.exe                   cmd.exe                                 .exe
//	\\server\share\a.b\c      c                   \\server\share\a.b
//	C:\a\doc.txt:evil.exe     doc.txt:evil.exe    C:\a                .txt
//
// A name keeps its alternate data stream, because the stream is part of what the event names; the extension
// is the file's own, so that a stream cannot hide or fake it.

// lastName returns where the last name of path begins and ends.
func lastName(path string) (start, end int) {
	end = len(path)
	for end > 0 && isSeparator(path[end-1]) {
		end--
	}
	if end == 2 && hasDrive(path) {
		return 2, 2 // a drive and nothing but separators after it
	}
	start = end
	for start > 0 && !isSeparator(path[start-1]) {
		start--
	}
	if start == 0 && hasDrive(path) {
		start = 2
	}
	return start, end
}

// basename returns the last name of path, "" for a root.
func basename(path string) string {
	start, end := lastName(path)
	return path[start:end]
}

// dirname returns what stands before the last name, without separators at its end unless they are its
// root, and "" when nothing does.
func dirname(path string) string {
	start, end := lastName(path)
	if start == end {
		return path // a root, or nothing
	}
	dir := start
	for dir > 0 && isSeparator(path[dir-1]) {
		dir--
	}
	if dir == 0 || dir == 2 && hasDrive(path) {
		return path[:start] // the separators are the root's
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

// hasDrive reports whether path begins with a drive letter and its colon.
func hasDrive(path string) bool {
	return len(path) >= 2 && path[1] == ':' && 'a' <= path[0]|0x20 && path[0]|0x20 <= 'z'
}
