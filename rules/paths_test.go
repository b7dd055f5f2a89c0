package rules

import "testing"

func TestPaths(t *testing.T) {
	for _, c := range []struct{ path, base, dir, ext string }{
		{`C:\Windows\cmd.exe`, `cmd.exe`, `C:\Windows`, `.exe`},
		{`C:/Windows/cmd.exe`, `cmd.exe`, `C:/Windows`, `.exe`},
		{`C:\Windows\`, `Windows`, `C:\`, ``},
		{`C:\Windows\\`, `Windows`, `C:\`, ``},
		{`C:\Windows`, `Windows`, `C:\`, ``},
		{`C:\\Windows`, `Windows`, `C:\\`, ``},
		{`C:\a\\b`, `b`, `C:\a`, ``},
		{`C:\`, `C:`, ``, ``},
		{`C:`, `C:`, ``, ``},
		{`C:\\\`, `C:`, ``, ``},
		{`cmd.exe`, `cmd.exe`, ``, `.exe`},
		{`\cmd.exe`, `cmd.exe`, `\`, `.exe`},
		{`\`, ``, ``, ``},
		{``, ``, ``, ``},
		{`\\server\share\a.b\c`, `c`, `\\server\share\a.b`, ``},
		{`\\server`, `server`, `\\`, ``},
		{`C:\a\doc.txt:evil.exe`, `doc.txt:evil.exe`, `C:\a`, `.txt`},
		{`C:\a\doc.txt:Zone.Identifier:$DATA`, `doc.txt:Zone.Identifier:$DATA`, `C:\a`, `.txt`},
		{`C:\a\.gitignore`, `.gitignore`, `C:\a`, `.gitignore`},
		{`C:\a\x.tar.gz`, `x.tar.gz`, `C:\a`, `.gz`},
		{`C:\a\x.`, `x.`, `C:\a`, ``},
		{`C:\é\É.TXT`, `É.TXT`, `C:\é`, `.TXT`},
		{`\Device\HarddiskVolume3\x.sys`, `x.sys`, `\Device\HarddiskVolume3`, `.sys`},
		{`\??\C:\x.sys`, `x.sys`, `\??\C:`, `.sys`},
	} {
		if got := basename(c.path); got != c.base {
			t.Errorf("basename(%q) = %q, want %q", c.path, got, c.base)
		}
		if got := dirname(c.path); got != c.dir {
			t.Errorf("dirname(%q) = %q, want %q", c.path, got, c.dir)
		}
		if got := extension(c.path); got != c.ext {
			t.Errorf("extension(%q) = %q, want %q", c.path, got, c.ext)
		}
		// Folding before or after is the same.
		f := fold(c.path)
		if basename(f) != fold(c.base) || dirname(f) != fold(c.dir) || extension(f) != fold(c.ext) {
			t.Errorf("%q: folded %q %q %q", c.path, basename(f), dirname(f), extension(f))
		}
	}
}
