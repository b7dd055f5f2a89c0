package rules

import "strings"

// commonTexts are texts that events of Windows hosts are full of, folded, with a weight: 100 is in most values
// of the fields that can have it. They say what to look for in an event: a rule that demands `\system32\` and
// `comsvcs` is found by the second. A wrong weight costs time and changes no result.
var commonTexts = []struct {
	text   string
	weight int
}{
	{`c:\windows\system32\`, 100},
	{`c:\windows\syswow64\`, 30},
	{`c:\windows\`, 100},
	{`c:\program files\`, 60},
	{`c:\program files (x86)\`, 40},
	{`c:\programdata\microsoft\`, 30},
	{`c:\users\`, 60},
	{`\appdata\local\`, 50},
	{`\appdata\local\temp\`, 30},
	{`\appdata\roaming\microsoft\`, 30},
	{`\device\harddiskvolume`, 20},
	{`microsoft`, 80},
	{`windows`, 100},
	{`.exe`, 100},
	{`.exe"`, 60},
	{`.exe" `, 40},
	{`.exe -`, 30},
	{`.exe /`, 20},
	{`.dll`, 60},
	{`.dll,`, 10},
	{`.tmp`, 30},
	{`.log`, 20},
	{`.ps1`, 12},
	{`.dat`, 20},
	{`.xml`, 20},
	{`.pf`, 10},
	{`.txt`, 10},
	{`.bat`, 5},
	{`\system32\svchost.exe`, 60},
	{`svchost.exe -k netsvcs -p -s `, 30},
	{`\system32\services.exe`, 20},
	{`\system32\cmd.exe /c `, 20},
	{`cmd /c `, 10},
	{`\cmd.exe`, 20},
	{`\system32\windowspowershell\v1.0\powershell.exe`, 20},
	{`powershell`, 20},
	{`\powershell.exe`, 15},
	{`powershell.exe -nop`, 5},
	{`\explorer.exe`, 20},
	{`\rundll32.exe`, 8},
	{`\conhost.exe 0x`, 15},
	{`conhost.exe 0xffffffff -forcev1`, 15},
	{`\wmiprvse.exe`, 8},
	{`\taskhostw.exe`, 8},
	{`\regsvr32.exe`, 4},
	{`\msiexec.exe`, 4},
	{`\reg.exe`, 4},
	{`\net.exe`, 4},
	{`\net1.exe`, 4},
	{`\sc.exe`, 4},
	{`http://`, 6},
	{`https://`, 8},
	{`://`, 12},
	{`www.`, 4},
	{`.com`, 8},
	{`hkey_local_machine\software\microsoft\windows\currentversion\`, 60},
	{`hkey_local_machine\software\microsoft\windows nt\currentversion\`, 40},
	{`hkey_local_machine\software\wow6432node\`, 20},
	{`hkey_local_machine\software\classes\`, 20},
	{`hkey_local_machine\software\policies\microsoft\`, 15},
	{`hkey_local_machine\system\currentcontrolset\services\`, 60},
	{`hkey_local_machine\system\currentcontrolset\control\`, 40},
	{`hkey_current_user\software\microsoft\windows\currentversion\explorer\`, 30},
	{`hkey_users\s-1-5-21-`, 40},
	{`hkey_users\.default\software\`, 20},
	{`_classes\local settings\software\microsoft\windows\`, 20},
	{`\clsid\{`, 20},
	{`\inprocserver32`, 8},
	{`\parameters`, 20},
	{`\control\class\`, 10},
	{`\enum\`, 10},
	{`\services\bam\state\usersettings\`, 20},
	{`\currentversion\run`, 8},
	{`(default)`, 10},
	{`\(default)`, 10},
	{`nt authority\system`, 60},
	{`nt authority\network service`, 20},
	{`nt authority\local service`, 20},
	{`authority`, 60},
	{`system`, 60},
	{`administrator`, 15},
	{`version`, 20},
	{`settings`, 20},
	{`explorer`, 20},
	{`install`, 10},
	{`update`, 15},
	{`service`, 40},
	{`config`, 20},
	{`software\`, 60},
	{`\desktop\`, 8},
	{`\downloads\`, 6},
	{`\temp\`, 20},
	{`\cache\`, 15},
	{`\public\`, 3},
	{`-command `, 5},
	{` -c `, 5},
	{` /c `, 12},
	{` -p `, 10},
	{` -s `, 10},
	{` -e`, 10},
	{` /s`, 5},
	{` /d`, 4},
	{` /i`, 4},
	{` -n`, 10},
	{` -k `, 20},
	{`embedding`, 8},
	{`--type=`, 12},
	{`google\chrome\`, 12},
	{`mozilla firefox\`, 6},
	{`onedrive`, 8},
	{`.net`, 10},
	{`framework64\v4.0.30319\`, 6},
	{`assembly\nativeimages_v4.0.30319_64\`, 10},
	{`softwaredistribution\`, 8},
	{`winsxs\`, 6},
	{`prefetch\`, 6},
	{`{`, 15},
	{`00000000-0000-0000-`, 5},
}

// likelihood guesses in how many of the values of a source a text stands as op says, from 0 to 1.
func likelihood(source *textSource, op textOp, text string) float64 {
	if op == opEnds && strings.HasSuffix(".exe", text) && strings.Contains(source.path, "executable") {
		return 1
	}
	if op == opEquals {
		return 0.001 + 0.2*commonness(text)
	}
	if op == opEnds && strings.IndexByte(text, '\\') >= 0 {
		return 0.002 + 0.2*commonness(text)
	}
	// Longer texts are rarer; a text that stands in a common one is as common.
	p := 0.004
	switch n := len(text); {
	case n <= 1:
		p = 0.8
	case n == 2:
		p = 0.3
	case n == 3:
		p = 0.1
	case n == 4:
		p = 0.03
	case n == 5:
		p = 0.015
	case n < 8:
		p = 0.008
	}
	if op == opStarts || op == opEnds {
		p /= 4
	}
	return min(p+commonness(text), 1)
}

// commonness is the weight of the common texts that text stands in, from 0 to 1.
func commonness(text string) float64 {
	// Most texts stand in none; how they begin or end tells without a search.
	if n := len(text); n >= longGram && (commonGrams[text[:longGram]] == 0 || commonGrams[text[n-longGram:]] == 0) {
		return 0
	}
	w := 0
	for i := range commonTexts {
		if c := &commonTexts[i]; c.weight > w && strings.Contains(c.text, text) {
			w = c.weight
		}
	}
	return float64(w) / 100
}
