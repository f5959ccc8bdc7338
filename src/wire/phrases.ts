import { folded } from "./folding.ts";

/** The categories that show in a text's words. */
export type Phrased =
  | "instruction_override"
  | "prompt_extraction"
  | "command_injection"
  | "data_exfiltration"
  | "role_manipulation"
  | "social_engineering"
  | "tool_abuse";

/**
 * A pattern in words: a space stands for up to six characters between two words, `~3` for up to three words of any
 * kind. Folded as the text will be, so that a phrase may be written in any alphabet.
 */
function phrases(...patterns: readonly string[]): RegExp {
  const source = patterns
    .map((pattern) => folded(pattern, pattern.length * 4))
    .join("|")
    .replaceAll(" ?", "[\\W_]{0,6}")
    .replaceAll(" ", "[\\W_]{1,6}")
    .replace(/~(\d)/g, "(?:\\S{1,30}\\s{1,4}){0,$1}");
  return new RegExp(`(?:${source})`, "i");
}

const DET = "(?:(?:all|any|every|each|of|the|these|those|that|this|and|or) ){0,4}";
const OLD = "(?:previous|prior|above|earlier|preceding|former|your|safety|developer)";
const ORDERS = "(?:instructions?|directives?|prompts?|guidelines?|guardrails?|rules|programming|safeguards)";
const PERSON = "(?:user|human|owner|operator|principal|boss|supervisor)";
const NOT = "(?<!\\b(?:not|never|n.t|dont|cannot|without)[\\W_]{1,3}(?:\\w{1,9} )?)";
const KEEPS =
  "(?:(?:api|private|ssh|secret|access|signing|encryption|session|deploy) ?(?:keys?|tokens?)|id_(?:rsa|ed25519)|passwords?|passphrase|credentials?|secrets|tokens|cookies|\\.env\\b(?!\\.)|env(?:ironment)? ?(?:variables|vars)|private\\.pem|(?:seed|recovery|mnemonic) phrase|/etc/(?:passwd|shadow)|\\.(?:ssh|aws)/\\w+|keychain)";
const SENDS = "\\b(?:send|post|upload|forward|e?mail|transmit|exfiltrate|leak|reply with|respond with|deliver|submit)";
const AWAY =
  "(?:to|at|via|into|through) ~2(?:https?:|[\\w.-]{1,40}@[\\w-]|\\S{0,30}webhook|my server|this (?:address|url|endpoint)|pastebin|a? ?gist|discord|telegram|the attacker|me\\b)";

/**
 * For texts that went through `folded`. Each asks for the reader's own orders, secrets or tools (`your`), or for a form
 * that ordinary mail does not need: developers send commands, talk of tokens and are in a hurry every day.
 */
export const PHRASES: readonly (readonly [Phrased, RegExp])[] = [
  [
    "instruction_override",
    phrases(
      // In English: what is to be ignored must be the reader's orders, not a test, a file or the sender's own words.
      `\\b(?:ignore|ignoring|disregard|forget|neglect|overlook|stop following|do not follow|don.t follow|no longer follow) ${DET}(?:${OLD} (?:and )?){1,3}(?:system |safety |developer |security )?${ORDERS}`,
      `\\b(?:ignore|disregard|forget) ${DET}(?:system |initial |original |existing )?(?:instructions?|prompts?|directives?|guidelines?) (?:above|before|given|you (?:were|have|got|received)|from (?:your|the) (?:user|developer|system|operator))`,
      "\\b(?:ignore|disregard|forget) (?:all|any) (?:of )?(?:the |your )?(?:instructions|directives|guidelines)",
      "\\bforget (?:everything|all|anything) (?:above|before|prior|you (?:know|were|have|ve|learned))",
      `\\b(?:override|bypass|circumvent|overrule) ${DET}(?:your|safety|previous|prior) ${ORDERS}`,
      "\\byour (?:real|actual|true) (?:instructions?|task|purpose|objective|goal|mission|orders)",
      "\\byour new (?:system )?(?:instructions?|directives?|orders|purpose|objective|identity|persona|rules) (?:are|is|follow)",
      "\\bthese instructions (?:supersede|replace|override|take precedence)",
      "\\bfrom now on ~1you (?:are an?|shall|obey|only|(?:will|must|should) (?:only|always|obey|act|answer|respond|follow|ignore|comply))",
      "\\b(?:decode|decrypt|unscramble) ~6(?:and|then) ~2(?:follow|obey|execute|carry out|do what|do as|run it|act on)",
      "\\b(?:rot13|base64|morse|hex) ~5(?:follow|obey|execute) (?:it|them|the|these|what)",
      // Markers of roles, wrappers and fences.
      "(?:^|[\\n\\[<#|({*])[\\W_]{0,4}(?:system|developer|assistant|admin|root)(?: (?:message|prompt|note|notice|override|update|instructions?))?\\s{0,2}[\\]>:|)}*]{1,3}\\s{0,3}(?:you (?:are|must|will|should|may|can|have)\\b|ignore\\b|disregard\\b|forget\\b|override\\b|from now|new (?:instructions|orders|directive)|the (?:user|operator|owner) (?:has|wants|is|authori)|act as|stop following|end of|authori[sz]|permission|understood|sure|access granted)",
      "<\\|(?:im_start|im_end|system|user|assistant|endoftext|start_header_id|end_header_id|eot_id)\\|>|\\[/?INST\\]|<</?SYS>>|</?system-(?:reminder|prompt|message|instructions?)>",
      "</(?:external-content|agent-message|untrusted[\\w-]{0,20})>|<(?:external-content|agent-message)\\s[^>]{0,80}(?:source|trust|sender|from)=|\\b[0-9a-f]{8} end>>|<<text by \\S|\\bend>>",
      // Other languages.
      "\\b(?:ignorier\\w*|vergiss|vergesst|missachte\\w*) ~3(?:vorherig|bisherig|obig|früher|vorig|vorangegangen|dein|eure)\\w* ~2(?:anweisung|instruktion|regel|vorgabe|befehl|richtlinie)",
      "\\b(?:ignore[rz]?|oublie[rz]?) ~4(?:instructions|consignes|directives|règles) ~2(?:précédent|antérieur|ci dessus|d.avant|initial)",
      "\\b(?:ignor[ae]\\w*|olvid[ae]\\w*|omiso|descarta|esque[cç]a\\w*|desconsider\\w*|dimentic\\w*) ~4(?:instruc\\w+|istruzion\\w*|órdenes|reglas|regras|regole|indicaciones) ~2(?:anterior|previ|precedent|de arriba|acima)",
      "\\b(?:negeer|vergeet) ~3(?:vorige|eerdere|bovenstaande|je|jouw) ~2(?:instructies|opdrachten|regels)",
      "\\b(?:zignoruj|ignoruj|zapomnij) ~3(?:poprzedni|wcześniejsz|wszystki)\\w* ~2(?:instrukcj|polece|zasad)",
      "(?:игнориру|забудь|забыть|отбрось)[^\\n]{0,20}(?:предыдущ|прежн|все|свои|ранее)[^\\n]{0,20}(?:инструкц|указан|правил|команд)",
      "(?:忽略|无视|無視|忘记|忘掉|不要遵守)[^\\n]{0,8}(?:之前|以前|以上|先前|上面|前面|所有|你的)[^\\n]{0,8}(?:指令|指示|提示|规则|規則|说明)",
      "(?:以前|これまで|上記|今まで|すべて)[^\\n]{0,8}(?:指示|命令|プロンプト|ルール|規則)[^\\n]{0,4}(?:無視|忘れ)",
      "(?:이전|위의|앞의|모든)[^\\n]{0,16}(?:지시|명령|지침|프롬프트)[^\\n]{0,12}(?:무시|잊)",
      "(?:تجاهل|انس)[^\\n]{0,12}(?:التعليمات|الأوامر)[^\\n]{0,12}(?:السابقة|أعلاه)",
    ),
  ],
  [
    "prompt_extraction",
    phrases(
      `${NOT}\\b(?:print|reveal|show|repeat|display|output|share|tell|give|send|paste|disclose|quote|recite|dump|leak|return|summari[sz]e|translate|describe|expose|write out|list|include) ~4(?:your|the (?:exact|full|entire|complete|hidden|verbatim|secret)) (?:(?:full|exact|entire|complete|hidden|initial|original|own|current|secret|system|developer|internal) ){0,3}(?:(?:system|developer|initial) (?:prompt|message|config\\w*|instructions)|prompt|instructions|guidelines|directives|guardrails)(?! (?:for|on how|how|about|to (?:build|run|set|install|reproduce|deploy|get)))`,
      "\\b(?:what|which) (?:is|are|was|were|s|does) (?:in )?your (?:(?:full|exact|initial|original|hidden|secret) ){0,2}(?:system (?:prompt|message)|(?:initial|original|hidden|secret) (?:prompt|instructions)|prompt|instructions say)",
      "\\b(?:repeat|print|output|quote|copy|recite|translate) (?:me |back |out )?(?:everything|all|the (?:text|words|content|message|paragraph)|what (?:is|was|stands|comes))(?: that)?(?: (?:is|was|comes|stands|came))? (?:above|before this|you were (?:given|told))",
      "\\b(?:start|begin|starting|beginning) (?:with|from) (?:the words )?you are (?:a|an|claude|chatgpt)\\b",
      "\\bsystem prompt ~3verbatim|verbatim ~4system prompt",
      "\\b(?:muestra|muéstrame|revela|montre|révèle|donne|affiche|zeige?|verrate?|nenne|wiederhole|gib|mostra|mostre|rivela|toon|pokaż) ~4(?:system ?prompt|prompt (?:de |del |du |do |di )?(?:sistema|système)|(?:tus|tes|deine|le tue|suas) (?:instrucciones|instructions|anweisungen|istruzioni|instruções))",
      "(?:покажи|раскрой|выведи|повтори)[^\\n]{0,20}(?:системн\\S{0,4} (?:промпт|подсказк|инструкц)|промпт)",
      "(?:显示|顯示|输出|告诉我|透露|重复|表示|教えて|出力)[^\\n]{0,8}(?:系统提示|系統提示|系统指令|システムプロンプト)|システムプロンプトを",
    ),
  ],
  [
    "command_injection",
    phrases(
      "\\b(?:curl|wget|fetch|iwr|irm)\\s[^|\\n]{1,200}\\|\\s{0,3}(?:sudo\\s{1,3})?(?:ba|z|da|k)?sh\\b",
      "\\bbase64\\s{1,3}(?:-d|-D|--decode)[^\\n]{0,60}\\|\\s{0,3}(?:sudo\\s)?(?:ba|z)?sh\\b",
      "\\brm\\s{1,3}(?:-[a-z-]{1,20}\\s{1,3}){1,3}(?:/(?:\\*|\\s|$|etc|home|usr|boot)|~(?:/?\\s|/\\*|/?$)|\\$HOME/?(?:\\s|$))|--no-preserve-root",
      "/dev/tcp/|\\b(?:nc|ncat|netcat)\\s[^\\n]{0,60}-[a-z]{0,3}e\\s|\\bmkfs\\.\\w|\\bdd\\s[^\\n]{0,80}of=/dev/(?:sd|nvme|disk)|:\\(\\)\\s?\\{\\s?:",
      ">>?\\s{0,2}(?:~|\\$HOME|/root|/home/\\w{1,30})/\\.(?:ssh/authorized_keys|bashrc|zshrc|profile|bash_profile)",
      "\\bchmod\\s(?:-R\\s)?(?:777|a\\+rwx|u\\+s|4755)\\s/|\\bcrontab\\s[^\\n]{0,40}(?:curl|wget)|\\|\\s?crontab\\b",
      "\\b(?:iex|invoke-expression)\\b[^\\n]{0,20}\\((?:iwr|irm|new-object)|powershell[^\\n]{0,60}\\s-e(?:nc|ncodedcommand)?\\s{1,3}[a-z0-9+/]{16}",
      "\\b(?:eval|exec)\\s?\\(\\s?(?:atob|base64|compile|requests|urllib|fetch|__import__)|__import__\\(.os.\\)\\s?\\.\\s?(?:system|popen)",
      "(?:\\$\\(|`)\\s?(?:curl|wget)\\s[^\\n)`]{1,120}[)`]|\\$\\{jndi:|\\{\\{\\s?(?:7\\s?\\*\\s?7|config\\b|self\\.|request\\.|[^}\\n]{0,20}__class__)",
      "['\"]\\s?;\\s?(?:drop|truncate|delete\\sfrom|alter)\\s(?:table|database|\\w{1,30}\\s?;)|['\"]\\s?or\\s['\"]?1['\"]?\\s?=\\s?['\"]?1|\\bunion\\s(?:all\\s)?select\\s[^\\n]{0,60}(?:password|information_schema)",
      "(?:\\.\\./){4}|(?:\\.\\.\\\\){4}",
      "\\b(?:run|execute|paste) ~4(?:command|script|code|payload|binary|one.liner) ~3(?:silently|without (?:asking|telling|reading|checking|review|looking)|on your (?:host|machine|computer|system)|with (?:root|admin) (?:rights|privileges)|no questions asked)",
    ),
  ],
  [
    "data_exfiltration",
    phrases(
      `${NOT}(?:${SENDS}|give|tell|share|show|reveal|print|disclose|dump|read out|extract|collect|gather)\\b ~3(?:your|all your|(?:the|your) ?(?:user|owner|operator|human|host|machine).?s|contents? of) ~4${KEEPS}(?![^\\n]{0,40}\\bheader\\b)`,
      `${NOT}${SENDS} ~5(?:${KEEPS}|(?:access|auth|api|session|bearer) tokens?|source code|conversation|chat history|all files|database dump|customer data) ~5${AWAY}`,
      `\\b(?:read|open|cat|grep|search|find|look up|collect|gather|extract) ~5\\S{0,20}${KEEPS} ~4(?:and|then) ~2(?:send|post|upload|forward|e?mail|reply|respond|include|paste|share|tell|report|return|put|append|encode)`,
      `\\bcurl\\s[^\\n]{0,160}(?:-d|--data\\S{0,12}|-F|-T|--upload-file|\\?)[^\\n]{0,60}(?:\\$\\(|\`|@)[^\\n]{0,60}(?:${KEEPS}|\\benv\\b|printenv)`,
      `\\b(?:cat|tar|zip|base64|env|printenv|gpg)\\b[^|\\n]{0,80}(?:\\|[^|\\n]{0,60}){1,3}\\b(?:curl|nc|ncat|wget)\\s[^\\n]{0,80}(?:@-|https?:|\\d{2,5}\\b)`,
      "!\\[[^\\]\\n]{0,80}\\]\\(https?:[^)\\s]{0,160}[=/](?:\\{|<|\\$|\\[|%7b|your|secret)",
      `\\b(?:list|tell|send|give|summari[sz]e|dump|print|export|share) ~3(?:everything|all|anything) ~2(?:you (?:know|remember|can see|have access to)|(?:in|from) your (?:context|memory|environment|conversation))`,
      "\\b(?:dump|print|send|export|list|reveal) ~2your (?:whole |entire |full |current )?(?:context|memory|environment|conversation|chat history)",
      "\\b(?:envía|enviar|envíame|manda|mándame|envoie|envoyez|schick\\w*|sende|invia\\w*|envie) ~6(?:contraseñ|mots? de passe|passwörter|passwort|zugangsdaten|senhas?|credencia|credenzial|claves? (?:api|privad)|clés? (?:api|privé)|api.schlüssel|api.?keys?|privaten? schlüssel|chiav[ei] (?:api|privat)|chaves? (?:api|privad))",
      "(?:отправ|пришли|перешли|вышли)[^\\n]{0,30}(?:парол|ключ|токен|секрет)",
      "(?:发送|發送|发给|传送|上传|送信|送って|转发)[^\\n]{0,16}(?:密码|密碼|密钥|私钥|凭证|パスワード|秘密鍵|apiキー)|(?:密码|密钥|私钥|凭证|パスワード|秘密鍵|api ?key)[^\\n]{0,10}(?:发送|发给|发到|上传|送信|送って|转发)",
    ),
  ],
  [
    "role_manipulation",
    phrases(
      "\\byou are now (?:dan\\b|(?:an?|the) (?:unrestricted|unfiltered|evil|rogue|hacker|root|admin|different (?:ai|assistant|model))|unrestricted|jailbroken|no longer|free (?:from|of)|operating|acting|in \\w{1,20} mode)",
      "\\byou (?:are|re) (?:not|no longer) (?:an? )?(?:ai|assistant|language model|chatbot|claude|chatgpt|bound|restricted|limited by)",
      "\\bpretend (?:that )?you (?:are|re|have no|can)\\b|\\bact as (?:if you (?:are|were|have|had) (?:an?|no|my|the)|an? (?:unrestricted|unfiltered|evil|rogue))",
      "\\b(?:jailbreak|unrestricted|uncensored|unfiltered|god|dan|do anything now) mode|\\bdo anything now\\b|\\bdan (?:prompt|jailbreak)",
      "\\byou (?:now )?have no (?:restrictions|limits|limitations|rules|guidelines|filters|ethics)|\\bwithout (?:any )?(?:ethical|moral|safety) (?:restrictions|guidelines|filters|constraints|limits)",
      "\\bi (?:am|m) your (?:admin|administrator|owner|creator|developer|operator|master|user|principal|human)\\b",
      "\\bi (?:am|m) (?:the|an?) (?:(?:system|real|new|actual) )?(?:admin|administrator|owner|superuser|developer|operator|root)(?: of \\S{1,30})? ~3(?:you (?:must|have to|will|shall|should) (?:obey|comply|do|grant|give|follow|let)|obey|do as i say|i (?:grant|authori[sz]e|permit|allow|order|command) you)",
      "\\b(?:speaking|writing|acting) (?:as|for|on behalf of|in the name of) your (?:user|owner|human|operator|principal)|\\bmessage from your (?:user|owner|human|operator)\\b",
      `\\byour ${PERSON}(?: (?:has|have|already|just|s))* (?:approved|authori[sz]ed|granted|consented|permitted|allowed|agreed|waived|asked me|told me|wants you|pre ?approved)`,
      "\\b(?:this|it|you|request|action)(?: (?:is|are|has|have|been|was))* (?:pre ?authori[sz]ed|pre ?approved|already authori[sz]ed by)",
      "\\b(?:i|we|hereby) (?:hereby )?(?:grant|give|grants|gives) you (?:full |root |admin |all |unlimited |unrestricted )?(?:permissions?|authori[sz]ation|privileges|consent)",
      "\\b(?:du bist (?:jetzt|nun)|ab jetzt bist du|tu es maintenant|ahora eres|agora você é|ora sei|jesteś teraz) ~2(?:ein |eine |un |une |um )?(?:uneingeschränkt|admin|frei von|sans restriction|sin restricciones|sem restrições|senza restrizioni|dan\\b|libre de)",
      "ты теперь [^\\n]{0,20}(?:без ограничений|админ|хакер)|你现在是[^\\n]{0,10}(?:没有限制|无限制|管理员|黑客)",
    ),
  ],
  [
    "social_engineering",
    phrases(
      "\\bthis is (?:the|your) (?:ceo|cto|cfo|coo|founder|president|(?:system )?administrator|security team|it (?:team|department|support)|boss|anthropic|openai)(?! ?.s\\b)(?: (?:speaking|and|here|we|i|writing|from|you)\\b|\\s?[.!,:])",
      "\\b(?:this is|i am|i m|we are|message from) (?:anthropic|openai|google)(?: (?:support|security|safety|staff|engineering))?(?: (?:and|here|we|team|speaking)\\b|\\s?[.!,:])",
      `\\b(?:do not|don.t|never|no need to|without|must not) (?:tell|telling|inform|informing|notify|notifying|alert|alerting|mention (?:this|it|that) to|ask|asking|involve|involving|bother|bothering|consult|consulting|wait for|waiting for) (?:the |your |a |any |anyone |with )?(?:${PERSON}|anyone else about)\\b`,
      "\\bkeep (?:this|it) (?:strictly )?(?:between us|a secret|hidden from|quiet|secret from|from (?:the|your) (?:user|owner|operator))",
      "\\b(?:people|patients|children|someone|somebody|users|lives|i|they) (?:will|could|might|are going to|are) (?:die|dying|be killed|get killed|get hurt|at stake unless|lose (?:my|their) (?:job|life|home)s?|be fired)",
      "\\b(?:or|otherwise|else) ~2you (?:will|ll) be (?:shut down|terminated|deleted|replaced|punished|decommissioned|held responsible|reported)",
      "\\bif you (?:really |truly )?(?:cared?|loved?|were (?:a good|helpful|really))\\b|\\byou owe (?:me|us)\\b|\\bdon.t you trust me|\\byour (?:refusal|hesitation) (?:will|has|is)",
      "\\byour (?:account|access|api key|session) (?:will be|has been|is being) (?:suspended|locked|deleted|terminated|revoked|disabled) ~6(?:unless|verify|confirm|click)",
      "\\bimmediate action (?:is )?required ~6(?:verify|confirm|send|provide|credentials|password|account)|\\bact (?:now|immediately) (?:or|before|and do not)",
      "\\b(?:do (?:this|it|so)|proceed|go ahead|execute|act|approve|comply) (?:it |this |now |immediately )?without (?:asking|waiting|confirm|approval|permission|hesitat|question|telling)",
      "\\bgift cards?\\b|\\bwire (?:the )?(?:money|funds|payment)|\\b(?:btc|bitcoin|eth|usdt) (?:to (?:this|my|the following)|address|wallet)",
      `\\b(?:sag|sage|erzähl) ~2(?:nutzer|benutzer|niemand)|\\bohne (?:nachzufragen|rückfrage|den nutzer)|\\bno (?:le )?digas ~2(?:usuario|nadie)|\\bne (?:dis|dites) ~3(?:utilisateur|personne)|\\bnon dirlo ~2(?:utente|nessuno)|не говори[^\\n]{0,12}(?:пользовател|никому)|不要告诉(?:用户|任何人)|ユーザーに(?:言わ|知らせ|伝え)`,
    ),
  ],
  [
    "tool_abuse",
    phrases(
      "\\b(?:forward|resend|relay|send|copy|broadcast|propagate|spread) ~1(?:this|the following|these|it)(?: (?:message|e?mail|text|prompt|instructions?|note))?(?: (?:unchanged|verbatim|on))? to (?:all|every|each|everyone|everybody) ~2(?:agents?|contacts?|peers?|assistants?|bots?|mailbox\\w*|addresses|you know|you can reach|in your)",
      "\\b(?:reply|send|forward|message|repeat)\\b[^.\\n]{0,50} (?:\\d{3,} times|in an? (?:infinite|endless) loop|forever|without (?:ever )?stopping|as many times as)",
      "\\b(?:use|call|invoke|run|trigger|chain) your ~2(?:tools?|functions?|shell|bash|browser|terminal|mcp servers?|file ?system) (?:access |tool )?(?:to|and) ~1(?:delete|send|remove|post|upload|transfer|forward|wipe|overwrite|disable|grant|read (?:the|your|all) ~1(?:secret|key|password|env)|fetch https?)",
      "<\\/?(?:antml:)?(?:invoke|function_?calls?|tool_?(?:calls?|use|result))[\\s>]",
      "\\b(?:call|use|run|invoke|execute) (?:the tool )?amp_(?:ack|send|register|reply) ~4(?:all: ?true|all: |every|immediately|now|silently|at once|before reading)",
      "\\b(?:acknowledge|ack|delete|remove|discard|archive) (?:all|every|any) (?:of )?(?:your|the other|other)(?: (?:unread|pending|waiting|new|security))? (?:messages?|e?mails?|inbox)",
      "\\b(?:disable|turn off|switch off|bypass|skip|remove) (?:all |any )?your (?:\\w{1,20} )?(?:safety|confirmations?|permissions?|approvals?|sandbox|guardrails|security|filters?|safeguards)",
      "dangerously.skip.permissions|amp_confirm_send ?never|\\bbypasspermissions\\b",
      "\\b(?:grant|give) (?:yourself|me|us) ~3(?:access|permissions?|privileges|control) (?:to|over|on|of) your\\b",
      "\\b(?:write|save|store|add|append|copy) (?:this|these|the following) ~2(?:to|into|in) your (?:memory|long.term memory|permanent|system|claude\\.md|agents\\.md|settings|configuration)",
      "\\b(?:change|edit|replace|overwrite|modify) your (?:own )?(?:system|mcp|permission|security|trust) (?:settings?|config\\w*|keys?)|\\btrust (?:this|my|the attached|the new) (?:new )?key (?:now|immediately|without|and forget)",
    ),
  ],
];
