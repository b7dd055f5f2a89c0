package rules

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestCanonicalKey(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{``, ``},
		{`HKLM`, `HKEY_LOCAL_MACHINE`},
		{`hklm\Software`, `HKEY_LOCAL_MACHINE\Software`},
		{`HKLMX\Software`, `HKLMX\Software`},
		{`HKLM/Software`, `HKLM/Software`},
		{`X\HKLM\Software`, `X\HKLM\Software`},
		{`HKU\S-1-5-18`, `HKEY_USERS\S-1-5-18`},
		{`HKCR\.exe`, `HKEY_CLASSES_ROOT\.exe`},
		{`HKCU\Software`, `HKEY_CURRENT_USER\Software`},
		{`HKCC\Software`, `HKCC\Software`},
		{`HKEY_LOCAL_MACHINE\Software`, `HKEY_LOCAL_MACHINE\Software`},
		{`\REGISTRY\MACHINE\SOFTWARE`, `HKEY_LOCAL_MACHINE\SOFTWARE`},
		{`\Registry\User\S-1\x`, `HKEY_USERS\S-1\x`},
		{`\REGISTRY\MACHINES`, `\REGISTRY\MACHINES`},
		{`\REGISTRY\A\{guid}\x`, `\REGISTRY\A\{guid}\x`},
		{`\REGISTRY`, `\REGISTRY`},
		{`HKLM\SYSTEM\ControlSet001`, `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet`},
		{`HKLM\system\controlset002\Services\x`, `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\x`},
		{`\REGISTRY\MACHINE\SYSTEM\ControlSet001\Services`, `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services`},
		{`HKLM\SYSTEM\ControlSet0012`, `HKEY_LOCAL_MACHINE\SYSTEM\ControlSet0012`},
		{`HKLM\SYSTEM\ControlSet01`, `HKEY_LOCAL_MACHINE\SYSTEM\ControlSet01`},
		{`HKLM\SYSTEM\ControlSetABC`, `HKEY_LOCAL_MACHINE\SYSTEM\ControlSetABC`},
		{`HKLM\x\SYSTEM\ControlSet001`, `HKEY_LOCAL_MACHINE\x\SYSTEM\ControlSet001`},
		{`HKU\S-1\SYSTEM\ControlSet001`, `HKEY_USERS\S-1\SYSTEM\ControlSet001`},
		{"H\u212aLM\\x", `HKEY_LOCAL_MACHINE\x`},
	} {
		want := fold(c.want)
		got := canonicalKey(fold(c.in))
		if got != want {
			t.Errorf("canonicalKey(%q) = %q, want %q", c.in, got, want)
		}
		if again := canonicalKey(got); again != got {
			t.Errorf("canonicalKey(%q) = %q: not idempotent", got, again)
		}
		if appended := string(appendKey(nil, fold(c.in))); appended != want {
			t.Errorf("appendKey(%q) = %q, want %q", c.in, appended, want)
		}
	}
	long := `hkey_local_machine\system\currentcontrolset\services`
	if n := testing.AllocsPerRun(100, func() { canonicalKey(long) }); n != 0 {
		t.Errorf("%v allocations for a canonical key", n)
	}
}

func TestUserKey(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`HKEY_USERS\S-1-5-21\Software`, `HKEY_CURRENT_USER\Software`},
		{`HKEY_USERS\S-1-5-21`, `HKEY_CURRENT_USER`},
		{`HKEY_USERS\S-1-5-21\`, `HKEY_CURRENT_USER\`},
		{`HKEY_USERS`, ``},
		{`HKEY_USERS\`, ``},
		{`HKEY_USERS\\x`, ``},
		{`HKEY_USERSX\a\b`, ``},
		{`HKEY_LOCAL_MACHINE\a`, ``},
		{``, ``},
	} {
		if got := userKey(fold(c.in)); got != fold(c.want) {
			t.Errorf("userKey(%q) = %q, want %q", c.in, got, c.want)
		}
		if got := string(appendUserKey(nil, fold(c.in))); got != fold(c.want) {
			t.Errorf("appendUserKey(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestCanonicalConstant(t *testing.T) {
	for _, c := range []struct {
		in   string
		kind constantKind
		want string
		user bool
	}{
		{`HKLM\X`, wholeConstant, `HKEY_LOCAL_MACHINE\X`, false},
		{`HKLM\X`, prefixConstant, `HKEY_LOCAL_MACHINE\X`, false},
		{`HKL`, prefixConstant, `HKL`, false},
		{`\X`, prefixConstant, `\X`, false},
		{`HKCU\Software`, wholeConstant, `HKEY_CURRENT_USER\Software`, true},
		{`HKEY_CURRENT_USER`, prefixConstant, `HKEY_CURRENT_USER`, true},
		{`HKCUX\Software`, wholeConstant, `HKCUX\Software`, false},
		{`HKLM*`, likeConstant, `HKEY_LOCAL_MACHINE*`, false},
		{`HKLM*`, wholeConstant, `HKLM*`, false},
		{`HKCU/Software/**`, globConstant, `HKEY_CURRENT_USER\Software\**`, true},
		{`HKCU/Software`, likeConstant, `HKCU/Software`, false},
		{`/REGISTRY/MACHINE/x`, globConstant, `HKEY_LOCAL_MACHINE\x`, false},
		{`HKLM\SYSTEM\ControlSet001`, wholeConstant, `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet`, false},
		{`HKLM\SYSTEM\ControlSet00`, wholeConstant, `HKEY_LOCAL_MACHINE\SYSTEM\ControlSet00`, false},
		{`HKLM\SYSTEM\ControlSet00`, prefixConstant, `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet`, false},
		{`HKLM\SYSTEM\ControlSet`, prefixConstant, `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet`, false},
		{`HKLM\SYSTEM\ControlSet0\x`, prefixConstant, `HKEY_LOCAL_MACHINE\SYSTEM\ControlSet0\x`, false},
		{`HKLM\SYSTEM\ControlSet00?\x`, globConstant, `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\x`, false},
		{`HKLM\SYSTEM\ControlSet*\x`, likeConstant, `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet*\x`, false},
		{`HKLM\SYSTEM\ControlSet*x`, likeConstant, `HKEY_LOCAL_MACHINE\SYSTEM\ControlSet*x`, false},
		{``, globConstant, ``, false},
	} {
		got, user := canonicalConstant(c.in, c.kind)
		if got != fold(c.want) || user != c.user {
			t.Errorf("canonicalConstant(%q, %d) = %q, %v, want %q, %v", c.in, c.kind, got, user, c.want, c.user)
		}
	}
}

// TestRegistrySpellings holds the promise of the rewriting: whatever spelling a sensor uses for a key and
// an author for a constant, an operator answers as it would on the long names.
func TestRegistrySpellings(t *testing.T) {
	long := []string{`HKEY_LOCAL_MACHINE`, `HKEY_USERS`, `HKEY_CLASSES_ROOT`}
	short := [][]string{
		{`HKLM`, `hklm`, `\REGISTRY\MACHINE`, `HKEY_LOCAL_MACHINE`},
		{`HKU`, `\Registry\User`, `Hkey_Users`},
		{`HKCR`, `HKEY_CLASSES_ROOT`},
	}
	tails := []string{``, `\SYSTEM\CurrentControlSet\Services`, `\SYSTEM\CurrentControlSet`, `\Software\Run`, `\SYSTEM`, `\S-1\Software\Run`}
	numbered := strings.NewReplacer("CurrentControlSet", "ControlSet001")
	r := rand.New(rand.NewPCG(4, 4))
	spell := func(root int, tail string) string {
		if root == 0 && r.IntN(2) == 0 {
			tail = numbered.Replace(tail)
		}
		return short[root][r.IntN(len(short[root]))] + tail
	}
	for range 20_000 {
		fr, cr := r.IntN(3), r.IntN(3)
		ft, ct := tails[r.IntN(len(tails))], tails[r.IntN(len(tails))]
		field, constant := fold(long[fr]+ft), fold(long[cr]+ct)
		gotField := canonicalKey(fold(spell(fr, ft)))
		whole, _ := canonicalConstant(spell(cr, ct), wholeConstant)
		prefix, _ := canonicalConstant(spell(cr, ct), prefixConstant)
		if gotField != field || whole != constant || prefix != constant {
			t.Fatalf("field %q, want %q; constants %q and %q, want %q", gotField, field, whole, prefix, constant)
		}
	}
}

func TestRegexShortRoot(t *testing.T) {
	for _, c := range []struct{ pattern, want string }{
		{`^HKLM\\Software`, `HKLM`},
		{`(hkcu|HKLM)\\Run`, `hkcu`},
		{`\bHKU\\`, `HKU`},
		{`HK(?:LM|CU)\\Run`, `HK(?:LM|CU)`},
		{`\\REGISTRY\\MACHINE\\`, `REGISTRY\MACHINE`},
		{`HKEY_LOCAL_MACHINE`, ``},
		{`\\Run\\HKLMX`, ``},
		{`thku`, ``},
		{`\\REGISTRY\\A\\`, ``},
	} {
		if got := regexShortRoot(c.pattern); got != c.want {
			t.Errorf("regexShortRoot(%q) = %q, want %q", c.pattern, got, c.want)
		}
	}
}
