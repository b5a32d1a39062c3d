/* See interview_words.h. One row a word; a format stays the same in both languages. */
#include "agent/interview_words.h"

static const char *const words[W_COUNT][2] = {
    [W_HELP] = {"  Enter      keep and go on         <        back\n"
                "  :list      all questions, jump    :errors  what is missing\n"
                "  :dk        does not know          :refused does not want to say\n"
                "  :clear     empty this answer      :remove  remove this entry\n"
                "  :comment   say something about it :end     to the end, to finish\n"
                "  :lang      language\n"
                "  /word      search the choices     :more    further choices\n"
                "  :quit      leave, the draft stays\n"
                "  \\          before an answer that begins with one of these signs",
                "  回车       保留并继续             <        返回\n"
                "  :list      问题清单，可跳转       :errors  还缺什么\n"
                "  :dk        不知道                 :refused 不愿回答\n"
                "  :clear     清空此答案             :remove  删除本条\n"
                "  :comment   写说明                 :end     到末尾，准备完成\n"
                "  :lang      切换语言\n"
                "  /词        在选项中搜索           :more    更多选项\n"
                "  :quit      退出，草稿保留\n"
                "  \\          答案本身以这些符号开头时，先输入它"},
    [W_KEYS] = {"Enter goes on, < goes back, ? shows all commands", "回车继续，< 返回，? 查看全部命令"},
    [W_SAVED] = {"saved", "已保存"},
    [W_NOT_SAVED] = {"NOT saved", "未保存"},
    [W_NO_SUCH_CHOICE] = {"no such choice: type its number, or part of its text",
                          "没有这个选项：请输入编号，或选项中的几个字"},
    [W_NO_MATCH] = {"no choice contains", "没有选项包含"},
    [W_ADD] = {"none yet. Add one? (y/n)", "还没有。要添加吗？（y/n）"},
    [W_ADD_MORE] = {"so far. Add one more? (y/n)", "条。再添加一条？（y/n）"},
    [W_FINISH] = {"End of the interview. f: finish   <: back   :list: jump   q: leave, the draft stays",
                  "访谈到此结束。f：完成   <：返回   :list：跳转   q：退出（草稿保留）"},
    [W_MISSING] = {"Not complete yet:", "尚未完成："},
    [W_URGENT] = {"urgent: ", "紧急："},
    [W_JUDGEMENT] = {"Before you see the findings: your own judgement of this household, in a few words",
                     "在看到风险线索之前，请写下您自己对这户的判断，几个字即可"},
    [W_JUDGEMENT_AGAIN] = {"Nothing written. A few words, or Enter once more to leave it out",
                           "还没有写。请写几个字；再按一次回车则略过"},
    [W_SENT_LATER] = {"It leaves with the next sync.", "下次同步时上传。"},
    [W_DRAFT_KEPT] = {"The draft is kept. The same command goes on here.",
                      "草稿已保留。用同一命令可从这里继续。"},
    [W_NOTHING_BEGUN] = {"Nothing was answered, so nothing is kept.", "没有作答，未保留草稿。"},
    [W_FINALISED] = {"Finalised", "已完成"},
    [W_ANSWERS] = {"%u answers", "%u 个答案"},
    [W_NOT_ANSWERED] = {", %u of them not known or refused", "，其中 %u 个不知道或拒答"},
    [W_RECORD] = {"record", "记录"},
    [W_REQUIRED] = {"required", "必填"},
    [W_READONLY] = {"for information", "说明"},
    [W_CURRENT] = {"now", "现为"},
    [W_ENTRY] = {"entry", "条目"},
    [W_MORE] = {"%u more: :more shows them, /word searches", "还有 %u 项：:more 查看，/词 搜索"},
    [W_MATCHES] = {"only choices with", "只显示包含以下文字的选项："},
    [W_RESUMED] = {"Going on with the draft, where you stopped.", "继续草稿，从上次停下的地方开始。"},
    [W_REVISIT] = {"A further visit: earlier answers are carried, change what has changed.",
                   "再次走访：已带出上次答案，请只修改有变化的内容。"},
    [W_LAST_VISIT] = {"last visit", "上次走访"},
    [W_NO_PACK] = {"No rule pack for this form on the device: nothing was judged.",
                   "设备上没有本表的规则包：未做研判。"},
    [W_FILE] = {"the path of a photo or another file; Enter goes on without", "照片或文件的路径；回车跳过"},
    [W_YES] = {"y confirms", "输入 y 确认"},
    [W_DONT_KNOW] = {"does not know", "不知道"},
    [W_REFUSED] = {"does not want to say", "拒答"},
    [W_LANGUAGES] = {"languages:", "语言："},
    [W_GO_TO] = {"number: go there   Enter: more   q: back to the question",
                 "输入编号：跳转   回车：下一页   q：返回原问题"},
    [W_GO_TO_MISSING] = {"number: go there   Enter: back to the question",
                         "输入编号：跳转   回车：返回原问题"},
    [W_NO_ERRORS] = {"nothing is missing or contradictory", "没有缺项或矛盾"},
    [W_REMOVE] = {"Remove this entry with all its answers? (y/n)", "删除本条及其全部答案？（y/n）"},
    [W_NO_ENTRY] = {"this question is not part of an entry", "此问题不属于任何条目"},
    [W_TOO_LONG] = {"this line is too long and was not taken", "这一行太长，未接受"},
    [W_PROGRESS] = {"%u of about %u", "第 %u 题，共约 %u 题"},
    [W_NO_COMMAND] = {"no such command:", "没有这个命令："},
    [W_DATE] = {"date: 2026-11-23, or today", "日期：2026-11-23，或 今天"},
    [W_TIME] = {"time: 14:30", "时间：14:30"},
    [W_DATETIME] = {"date and time: 2026-11-23T14:30", "日期和时间：2026-11-23T14:30"},
    [W_POINT] = {"position: latitude longitude [altitude accuracy]", "位置：纬度 经度 [海拔 精度]"},
    [W_COMMENT] = {"a comment on this question, for those who read it later; Enter leaves it out",
                   "对此问题的说明，供以后查看的人阅读；直接回车则略过"},
    [W_REASON] = {"why is what was sent corrected?", "为什么要更正已上传的内容？"},
    [W_MANY] = {"several: 1 3   add: +4   take away: -1", "可多选：1 3   增加：+4   去掉：-1"},
};

const char *interview_word(enum word which, bool zh)
{
    return words[which][zh];
}
